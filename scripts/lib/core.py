"""The core takes time, ids, randomness and I/O from ports only, so that it runs under simulation with a seed."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def main(root: Path) -> int:
    """Print what model, ports and kernel use that they may not; 1 when there is something."""
    with (root / "pyproject.toml").open("rb") as project:
        settings = tomllib.load(project)["tool"]["mainstay"]["core"]
    exceptions: Mapping[str, str] = settings["exceptions"]
    found: set[str] = set()
    for package in settings["packages"]:
        for path in sorted((root / "src" / package.replace(".", "/")).rglob("*.py")):
            name = str(path.relative_to(root))
            for line, used in _foreign(ast.parse(path.read_text(encoding="utf-8"), name), settings):
                found.add(f"{name}::{used}")
                if f"{name}::{used}" not in exceptions:
                    print(f"{name}:{line}: {used} is not for the core: take it through a port")
    for place in sorted(set(exceptions) - found):
        print(f"{place}: listed as an exception, and none is needed: remove it from pyproject.toml")
    return int(found != set(exceptions))


def _foreign(tree: ast.AST, settings: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    allowed = {*settings["third-party"], "mainstay", *sys.stdlib_module_names} - set(settings["forbidden-modules"])
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            yield from ((node.lineno, name) for name in settings["forbidden-calls"] if _is_call_of(called, name))
        else:
            modules = _imported(node)
            yield from ((getattr(node, "lineno", 0), name) for name in modules if name.partition(".")[0] not in allowed)


def _is_call_of(called: str, name: str) -> bool:
    return called == name or ("." in name and called.endswith(f".{name}"))


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))
