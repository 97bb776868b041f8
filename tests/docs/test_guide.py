"""Pages of the guide whose examples are one program: written to files as a reader would, and run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tour import Reader, blocks

CONFIG = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"


@pytest.mark.parametrize("name", ["queries"])
def test_the_examples_of_a_page_run(pytestconfig: pytest.Config, tmp_path: Path, name: str) -> None:
    page = (pytestconfig.rootpath / f"docs/guide/{name}.md").read_text(encoding="utf-8")
    reader = Reader(tmp_path, dict(os.environ))
    try:
        for block in blocks(page):
            reader.follow(block)
    finally:
        reader.close()
    (tmp_path / "pytest.ini").write_text(CONFIG, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(tmp_path)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert " passed" in ended.stdout
