"""Making a project from the templates beside this file."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from mainstay.app.refusal import Refusal

SUFFIX = ".tmpl"
_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_LONGEST = 40
_RENAMED = {"gitignore": ".gitignore"}


class ProjectName:
    """A name that serves as folder, distribution and, with underscores, as package. Raises ``Refusal``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.package: str = name.replace("-", "_")
        self.title: str = self.package.replace("_", " ").capitalize()
        if not _NAME.fullmatch(name) or len(name) > _LONGEST:
            raise Refusal(
                f"{name!r} is no name for a project",
                f"use up to {_LONGEST} lower-case letters, digits, - and _, a letter first: bookshop, order-desk",
            )
        if keyword.iskeyword(self.package) or self.package in sys.stdlib_module_names:
            raise Refusal(f"{name!r} is a word of Python itself: a package of this name could not be imported")
        if self.package in ("mainstay", "tests", "migrations"):
            raise Refusal(f"{name!r} is taken: the project would be in its own way")


def check_target(target: Path) -> None:
    """Raise ``Refusal`` where a project would be written over something."""
    if target.exists() and not target.is_dir():
        raise Refusal(f"{target} is there, and is no folder")
    if target.is_dir() and any(target.iterdir()):
        raise Refusal(f"{target} is not empty", "give another name, or --path to another folder")


def write_project(name: ProjectName, target: Path) -> list[Path]:
    """Write every template into the target, and return the files."""
    words = {"name": name.name, "package": name.package, "title": name.title}
    written = []
    for parts, text in _rendered(files("mainstay.cli") / "templates" / "project", words):
        path = target.joinpath(*(name.package if part == "package" else part for part in parts))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _rendered(
    folder: Traversable, words: Mapping[str, str], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Give the path of each template, as parts, and what it becomes. A word that is not known raises ``KeyError``."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _rendered(entry, words, (*above, entry.name))
        elif entry.name.endswith(SUFFIX):
            name = entry.name.removesuffix(SUFFIX)
            text = Template(entry.read_text(encoding="utf-8")).substitute(words)
            yield (*above, _RENAMED.get(name, name)), text
