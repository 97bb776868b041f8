"""Seeing that the team's files changed, for ``run --reload``: by their times, on every file system."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

_SUFFIXES = (".py", ".toml", ".env", ".sql", ".html")
_PASSED_OVER = frozenset({"__pycache__", "node_modules", "build", "dist", "site-packages"})
_MOST = 20_000  # files; beyond, the folder is not a project


class Watcher:
    """Remembers the files below some folders; hidden folders, environments and caches are passed over."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folders)
        self._known = dict(self._look())

    def changes(self) -> list[Path]:
        """Return the files that came, went or changed since the last look."""
        found = dict(self._look())
        changed = [path for path, mark in found.items() if self._known.get(path) != mark]
        changed += [path for path in self._known if path not in found]
        self._known = found
        return [Path(path) for path in changed]

    def _look(self) -> Iterator[tuple[str, tuple[int, int, int]]]:
        pending = [str(folder) for folder in self._folders]
        count = 0
        while pending and count < _MOST:
            try:
                entries = list(os.scandir(pending.pop()))
            except OSError:
                continue  # gone between two looks
            for entry in entries:
                name = entry.name
                if entry.is_dir(follow_symlinks=False):
                    if name[0] != "." and name not in _PASSED_OVER:
                        pending.append(entry.path)
                elif name.endswith(_SUFFIXES):
                    count += 1
                    yield from _mark(entry)


def _mark(entry: os.DirEntry[str]) -> Iterator[tuple[str, tuple[int, int, int]]]:
    try:
        facts = entry.stat()
    except OSError:
        return  # gone since it was listed
    yield entry.path, (facts.st_mtime_ns, facts.st_size, facts.st_ino)
