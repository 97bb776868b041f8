"""The shipped suites explain their failures as tests of this folder do."""

import pytest

pytest.register_assert_rewrite("mainstay.testing.conformance")
