"""Open files: as many as connections need, as far as the system lets a process."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASK = """
import resource, sys
soft, hard, wanted = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
from mainstay.inbound.http.descriptors import room_for
print(room_for(wanted), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "said"),
    [
        (512, 2048, 1000, "1000 1256 2048"),
        (512, 2048, 10_000, "1792 2048 2048"),
        (2048, 2048, 1000, "1000 2048 2048"),
        (128, 128, 10_000, "1 128 128"),
    ],
)
def test_the_limit_is_raised_as_far_as_it_goes(soft: int, hard: int, wanted: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(soft), str(hard), str(wanted)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == said
