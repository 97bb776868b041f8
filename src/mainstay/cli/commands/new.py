"""``mainstay new``: a small, complete project that runs and whose tests pass."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mainstay.app.devkey import ensure_keys
from mainstay.app.settings import load
from mainstay.cli.console import Console
from mainstay.cli.preparing import migrations_needed
from mainstay.cli.templating import ProjectName, check_target, write_project


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("name", help="the project's name, for example bookshop")
    parser.add_argument("--path", type=Path, help="where to put it (a folder of its name, here)")


def execute(arguments: Any, console: Console) -> int:
    """Write the project, and say what to do next."""
    name = ProjectName(arguments.name)
    target = (arguments.path or (arguments.directory or Path()) / name.name).resolve()
    check_target(target)
    written = write_project(name, target)
    ensure_keys(target / ".mainstay")
    (target / ".mainstay" / "profile").write_text("development\n", encoding="utf-8")
    written += _first_migration(target)
    names = [str(path.relative_to(target)) for path in written]
    console.facts({"project": name.name, "path": str(target), "files": names}, lambda: _text(name, target, names))
    return 0


def _first_migration(target: Path) -> list[Path]:
    """Plan it from the project itself, as its team will plan the next."""
    planned = migrations_needed(load(target, environ={}, profile="development")).plan()
    return [] if planned is None else [revision.path for revision in planned.revisions]


def _text(name: ProjectName, target: Path, names: list[str]) -> str:
    lines = [f"made {name.name} in {target}", "", *(f"  {one}" for one in names), "", "next:", ""]
    return "\n".join([*lines, f"  cd {target}", "  mainstay run --demo", "  python -m pytest"])
