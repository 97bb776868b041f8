"""Cedar files taken apart into their statements, each with its line, so that a fault names its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

SUFFIX = ".cedar"
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|;|\n', re.DOTALL)


class Statement(NamedTuple):
    """One policy of a file: its text, and where it begins."""

    file: str
    line: int
    text: str


def statements_of(path: Path) -> list[Statement]:
    """Return the statements of a file, or of all files of a folder by name. Raises ``OSError``, ``UnicodeDecodeError``.

    Raises ``FileNotFoundError`` for a folder that has none.
    """
    files = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
    if not files:
        raise FileNotFoundError(f"no {SUFFIX} file is in this folder")
    return [found for file in files for found in _split(str(file), file.read_text(encoding="utf-8"))]


def _split(file: str, text: str) -> Iterator[Statement]:
    begun, line, begins = 0, 1, 1
    for token in _TOKEN.finditer(text):
        if token[0] == ";":
            yield from _statement(file, begins, text[begun : token.end()])
            begun, begins = token.end(), line
        line += token[0].count("\n")
    yield from _statement(file, begins, text[begun:])


def _statement(file: str, line: int, text: str) -> Iterator[Statement]:
    """Give a statement with the line of its first word; space and comments alone are none."""
    bare = re.sub(r"\A(?:\s|//[^\n]*(?:\n|\Z))*", "", text)
    if bare:
        yield Statement(file, line + text[: len(text) - len(bare)].count("\n"), bare)


def parsed(statement: Statement) -> dict[str, Any]:
    """Return the one policy of a statement as Cedar's JSON form of it. Raises ``ValueError``, saying what is wrong."""
    import cedarpy
    import msgspec

    policies = msgspec.json.decode(cedarpy.policies_to_json_str(statement.text))
    found: list[dict[str, Any]] = list(policies["staticPolicies"].values())
    if policies["templates"] or len(found) != 1:
        raise ValueError("a template has no caller to ask: write the policy out")
    return found[0]


def complaints(statement: Statement, schema: str) -> list[str]:
    """Return what Cedar's strict validation finds in a statement (https://docs.cedarpolicy.com/policies/validation.html)."""
    import cedarpy

    result = cedarpy.validate_policies(statement.text, schema)
    return [] if result.validation_passed else [re.sub(r"^for policy `[^`]*`, ", "", e.error) for e in result.errors]
