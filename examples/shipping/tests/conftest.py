"""What the tests share. ``client`` serves in memory, ``each_client`` runs a test in memory and again on SQLite."""

import pytest
from shipping.service import shipping

from mainstay import Service

pytest_plugins = ["mainstay.testing.plugin"]


@pytest.fixture
def service() -> Service:
    """The service under test."""
    return shipping
