"""Ceilings, not averages: no file or function over the bounds in pyproject.toml, save those that are named there."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def main(root: Path) -> int:
    """Print every breach and every exception that is no longer needed; 1 when there is one."""
    with (root / "pyproject.toml").open("rb") as project:
        settings = tomllib.load(project)["tool"]["mainstay"]["ceilings"]
    breaches = dict(find_breaches(root, settings))
    exceptions: Mapping[str, str] = settings["exceptions"]
    for place, complaint in sorted(breaches.items()):
        if place not in exceptions:
            print(f"{place}: {complaint}")
    for place in sorted(set(exceptions) - set(breaches)):
        print(f"{place}: listed as an exception, and none is needed: remove it from pyproject.toml")
    unreasoned = [place for place, reason in exceptions.items() if not reason.strip()]
    for place in unreasoned:
        print(f"{place}: an exception without a reason")
    return int(set(breaches) != set(exceptions) or bool(unreasoned))


def find_breaches(root: Path, settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (place, complaint) for each file and function over a bound."""
    for folder in settings["folders"]:
        for path in sorted((root / folder).rglob("*.py")):
            if not any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(root).parts):
                yield from _file_breaches(path, str(path.relative_to(root)), settings)


def _file_breaches(path: Path, name: str, settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    if lines > settings["file-lines"]:
        yield name, f"{lines} lines, at most {settings['file-lines']}: split it by what changes together"
    for qualified, function in _functions(ast.parse(text, name)):
        complaints = []
        length = _length(function)
        if length > settings["function-lines"]:
            complaints.append(f"{length} lines, at most {settings['function-lines']}")
        branches = _complexity(function)
        if branches > settings["complexity"]:
            complaints.append(f"complexity {branches}, at most {settings['complexity']}")
        if complaints:
            yield f"{name}::{qualified}", f"line {function.lineno}: " + "; ".join(complaints)


def _functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    for node in ast.iter_child_nodes(tree):
        name = f"{prefix}{node.name}" if isinstance(node, (*FUNCTIONS, ast.ClassDef)) else prefix.rstrip(".")
        if isinstance(node, FUNCTIONS):
            yield name, node
        yield from _functions(node, f"{name}." if name else "")


def _length(function: Function) -> int:
    """Lines of code from `def` to the end; the docstring is not counted, so that nobody saves on it."""
    end = function.end_lineno or function.lineno
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return end - function.lineno + 1 - ((first.end_lineno or first.lineno) - first.lineno + 1)
    return end - function.lineno + 1


def _complexity(function: Function) -> int:
    """McCabe's number as ruff takes it (no operators, no comprehensions); functions inside count for themselves."""
    count = 1
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            continue
        if isinstance(node, BRANCHES):
            count += 1
        pending.extend(ast.iter_child_nodes(node))
    return count


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))
