"""The tour of README.md, followed word by word in a fresh copy of the checkout."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tour import Block, Reader, blocks, section

TITLE = "Five-minute tour"
SHOWN_PORT = "127.0.0.1:8000"


@pytest.fixture
def fresh_copy(pytestconfig: pytest.Config, tmp_path: Path) -> Path:
    """What a clone would hold, and the set-up's own tool, so that nothing is downloaded twice."""
    root, copy = pytestconfig.rootpath, tmp_path / "mainstay"
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listing.stdout.decode().split("\0")):
        if (root / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, copy / name)
    if (root / ".mainstay/tool").is_dir():
        shutil.copytree(root / ".mainstay/tool", copy / ".mainstay/tool")
    return copy


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _curl(folder: Path) -> Path:
    """A folder with a curl, where the machine has none."""
    folder.mkdir()
    if shutil.which("curl") is None:
        script = Path(__file__).parents[1] / "plugins/curl.py"
        (folder / "curl").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n', encoding="utf-8")
        (folder / "curl").chmod(0o755)
    return folder


def test_the_tour_works_as_printed(pytestconfig: pytest.Config, fresh_copy: Path) -> None:
    page = section((pytestconfig.rootpath / "README.md").read_text(encoding="utf-8"), TITLE)
    port = _free_port()  # the page shows the usual one, which may be taken here
    todo = [
        Block(block.language, block.words, block.text.replace(SHOWN_PORT, f"127.0.0.1:{port}"), block.line)
        for block in blocks(page)
    ]
    assert any(block.language == "console" and "skip" not in block.words for block in todo)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAINSTAY_", "VIRTUAL_ENV"))}
    path = f"{_curl(fresh_copy.parent / 'bin')}{os.pathsep}{environ['PATH']}"
    temporary = fresh_copy.parent / "tmp"  # where uv keeps its locks
    temporary.mkdir()
    settings = {"PATH": path, "TMPDIR": str(temporary), "MAINSTAY_HTTP_PORT": str(port)}
    reader = Reader(fresh_copy, {**environ, **settings})
    try:
        for block in todo:
            reader.follow(block)
    finally:
        reader.close()
