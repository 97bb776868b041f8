"""Revision files as text: the same for the same change, and made to be read."""

from __future__ import annotations

import textwrap
import tokenize
from collections import deque
from collections.abc import Iterator, Mapping
from io import StringIO
from typing import Any, Literal

from alembic.autogenerate import render_python_code

from mainstay.adapters.sql.migrations.difference import Difference
from mainstay.adapters.sql.migrations.files import Phase
from mainstay.adapters.sql.types import ColumnType, Value

WIDTH = 120
"""The characters of a line."""

_FILE = '''"""{title}.

Read it before you commit it: what it does to rows that are there is yours to decide.{note}
"""

import sqlalchemy as sa
from alembic import op
from mainstay.sql import {imports}

revision = "{name}"
down_revision = {follows}
phase = "{phase}"


def upgrade() -> None:
{up}


def downgrade() -> None:
{down}
'''


_NOTES: Mapping[Phase, str] = {
    "expand": "",
    "contract": "\nRun it when no version before it serves any more: mainstay db migrate --phase contract.",
}


def file_text(found: Difference, name: str, follows: str | None, message: str, context: Any) -> str:
    """Return the text of a revision file."""
    warnings = "".join(f"{_comment(warning)}\n" for warning in found.warnings)
    up, down = _code(found.up, context), _code(found.down, context)
    return _FILE.format(
        note=_NOTES[found.phase],
        title=message[:1].upper() + message[1:],
        imports="steps, types" if "    steps." in f"{up}\n{down}" else "types",
        name=name,
        phase=found.phase,
        follows="None" if follows is None else f'"{follows}"',
        up=warnings + up,
        down=down,
    )


def _comment(warning: str) -> str:
    return textwrap.fill(
        f"REVIEW: {warning}",
        WIDTH,
        initial_indent="    # ",
        subsequent_indent="    #   ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _code(all_ops: Any, context: Any) -> str:
    text = render_python_code(all_ops, render_as_batch=True, render_item=_render, migration_context=context)
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    code = _double_quoted("\n".join(_laid_out(lines))).replace(", schema=None) as batch_op:", ") as batch_op:")
    return "\n".join(each for line in code.splitlines() for each in fitted(line)).rstrip() or "    pass"


def _laid_out(lines: list[str]) -> Iterator[str]:
    """Lay a function out: a column a line for a new table, an alteration in one line, a blank around blocks."""
    rest = deque(lines)
    before = ""
    while rest:
        line = rest.popleft()
        text = line if line.startswith("    ") else f"    {line}"
        top = not text.startswith("     ")
        if before and top and (_block(text) or _block(before)):
            yield ""
        before = text if top else before
        if text.startswith("    op.create_table("):
            yield "    op.create_table("
            yield f"        {text.strip().removeprefix('op.create_table(')}"
            while (part := rest.popleft().strip()) != ")":
                yield f"        {part.rstrip(',')},"
            yield "    )"
            continue
        while rest and text.endswith(","):
            text = f"{text} {rest.popleft().strip()}"
        yield text


def fitted(line: str) -> Iterator[str]:
    """Break a call that is too long for a line: its arguments in a line of their own, or else in one each."""
    start = line.find("(") + 1
    ending = ")," if line.endswith("),") else ")"
    if len(line) <= WIDTH or not start or not line.endswith(ending):
        yield line
        return
    indent = " " * (len(line) - len(line.lstrip()))
    inside = line[start : -len(ending)]
    yield line[:start]
    if len(indent) + 4 + len(inside) <= WIDTH:
        yield f"{indent}    {inside}"
    else:
        for argument in _arguments(inside):
            yield from fitted(f"{indent}    {argument},")
    yield f"{indent}{ending}"


def _arguments(inside: str) -> Iterator[str]:
    """Split the arguments of a call at the commas that stand in no bracket and no string."""
    depth, quoted, begin = 0, False, 0
    for at, character in enumerate(inside):
        if character == '"' and inside[at - 1] != "\\":
            quoted = not quoted
        elif not quoted:
            depth += (character in "([{") - (character in ")]}")
            if character == "," and depth == 0:
                yield inside[begin:at].strip()
                begin = at + 1
    yield inside[begin:].strip()


def _block(line: str) -> bool:
    return line.startswith(("    op.create_table(", "    with "))


def _double_quoted(code: str) -> str:
    """Write strings as formatters do, so that a file is not changed by the first one that runs over it."""
    lines = code.splitlines(keepends=True)
    for token in reversed(list(tokenize.generate_tokens(StringIO(f"if 1:\n{code}\n").readline))):
        if token.type == tokenize.STRING and token.string[0] == "'" and not {'"', "\\"} & set(token.string):
            row, (start, end) = token.start[0] - 2, (token.start[1], token.end[1])
            lines[row] = f'{lines[row][:start]}"{token.string[1:-1]}"{lines[row][end:]}'
    return "".join(lines)


def _render(kind: str, item: Any, _: Any) -> str | Literal[False]:
    if kind == "server_default":
        held = getattr(item, "arg", None)
        return repr(held) if isinstance(held, Value) else False
    return f"types.{item!r}" if kind == "type" and isinstance(item, ColumnType) else False
