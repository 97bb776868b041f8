"""Schemathesis against a served shop: all phases, as one person, and what it found."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from shop_served import Person, Running

PLUGINS = Path(__file__).parent
# 412: the version that If-Match names is a matter of state. 414 and 431: a list
# of a hundred values may be too long to be read.
# U+0000 in text: the contract says in words that none is.
CONFIG = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 413, 414, 415, 422, 428, 431]

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 412, 414]

[generation]
allow-x00 = false
"""


ALL_PHASES = "examples,coverage,fuzzing,stateful"


def fuzz(
    running: Running,
    person: Person,
    directory: Path,
    *,
    examples: int,
    seed: int,
    timeout: float,
    phases: str = ALL_PHASES,
    operations: Sequence[str] = (),
) -> str:
    """Return what was found, or nothing. ``examples`` are for each operation and phase, ``timeout`` in seconds.

    ``operations`` are all, unless some are named.
    """
    config = directory / "schemathesis.toml"
    config.write_text(CONFIG)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run"),
        f"{running.url}/openapi.json",
        *("--header", f"Authorization: Bearer {running.token(person)}"),
        *("--checks", "all", "--phases", phases),
        *("--max-examples", str(examples), "--seed", str(seed), "--generation-database", "none"),
        *("--continue-on-failure", "--no-shrink", "--warnings", "off", "--no-color"),
        *(part for name in operations for part in ("--include-operation-id", name)),
    ]
    environ = {**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(PLUGINS)}
    done = subprocess.run(
        command, cwd=directory, env=environ, capture_output=True, text=True, timeout=timeout, check=False
    )
    said = done.stdout + done.stderr
    tested = f"Tested: {len(operations)}" if operations else "Tested: "
    return "" if done.returncode == 0 and tested in said else said
