"""What a service asks of its database is looked at while it is developed, and only then."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EACH = """

@notes.query("GET /each", allow=anyone)
async def each(rows: Repository[Note]) -> int:
    return sum([await rows.count(text=f"note {n}") for n in range(6)])
"""


@pytest.mark.parametrize("profile", ["development", "test"])
def test_reads_that_are_repeated_are_logged_once_in_development(
    profile: str, project: Path, run: Callable[..., Any]
) -> None:
    code = project / "team_service.py"
    service, seed, rest = code.read_text().partition("\n\nasync def first_note")
    code.write_text(service + EACH + seed + rest)
    running = run(MAINSTAY_PROFILE=profile, MAINSTAY_DATABASE_CREATE="true")
    for _ in range(3):
        assert running.request("/each")[0] == 200
    running.process.terminate()
    running.wait()
    told = [json.loads(line) for line in running.said().splitlines() if '"n_plus_one"' in line]
    assert len(told) == (1 if profile == "development" else 0)
    for line in told:
        assert line["facts"]["times"] == 6
        assert line["facts"]["statement"] == "count Note where text = ?"
        file, _, number = line["facts"]["line"].rpartition(":")
        assert "await rows.count(" in Path(file).read_text().splitlines()[int(number) - 1]
