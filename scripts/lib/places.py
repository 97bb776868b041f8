"""No machine is named: a committed file holds no package registry's address and no path of somebody's machine."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

GENERATED = {"uv.lock"}  # carries addresses by nature; the set-up puts the machine's own index in their place
PATTERNS = {
    "a package registry's address": re.compile(
        r"\b(?:pypi\.org|files\.pythonhosted\.org|registry\.(?:npmjs|yarnpkg)\.\w+|proxy\.golang\.org|deb\.debian\.org"
        r"|registry-1\.docker\.io|repo1?\.maven\.\w+)\b"
    ),
    "a path of one machine": re.compile(r"(?<![\w.~}])/(?:home/\w+|root|Users/\w+|work|workspace|mnt|media)/[\w.]"),
}


def main(root: Path) -> int:
    """Print each line that names a machine; 1 when there is one that pyproject.toml does not allow."""
    with (root / "pyproject.toml").open("rb") as project:
        exceptions: dict[str, str] = tomllib.load(project)["tool"]["mainstay"]["places"]["exceptions"]
    listed = {path: reason for path, reason in exceptions.items() if reason.strip()}
    found = {name: list(_named(root / name)) for name in _committed(root)}
    hits = {name: lines for name, lines in found.items() if lines}
    for name, lines in sorted(hits.items()):
        if name not in listed:
            for number, what in lines:
                print(f"{name}:{number}: {what}: take it from configuration, or list the file with a reason")
    for name in sorted(set(exceptions) - set(hits)):
        print(f"{name}: listed as an exception, and none is needed: remove it from pyproject.toml")
    return int(set(hits) != set(listed) or set(listed) != set(exceptions))


def _committed(root: Path) -> list[str]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        check=True,
    )
    names = listing.stdout.decode().split("\0")
    return [name for name in names if name and name not in GENERATED and (root / name).is_file()]


def _named(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    for number, line in enumerate(text.splitlines(), 1):
        for what, pattern in PATTERNS.items():
            if pattern.search(line):
                yield number, what


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))
