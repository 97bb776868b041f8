"""What other servers do not keep is in the guide, and is a setting that there is."""

from __future__ import annotations

from pathlib import Path

from mainstay.app.servers.unkept import UNKEPT
from mainstay.app.settings.sources import variables

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "running.md"


def test_the_guide_names_every_setting_that_a_server_does_not_keep() -> None:
    rows = [line for line in GUIDE.read_text().splitlines() if line.startswith("| `http.") or "HTTP/2" in line]
    known = {key for _, key in variables()}
    for unkept in UNKEPT.values():
        for key in unkept:
            assert key in known
            short = key.removeprefix("http.max_connections_") if "_per_" in key else key
            assert any(short in row for row in rows), key
