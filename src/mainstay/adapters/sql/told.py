"""Rows of the driver to JSON, by columns and without entities, by a function that is generated once for each entity.

The bytes are those that msgspec writes of the entities. Most columns it writes here too, each as one list, which is cut
at its commas: no value of these kinds has one. Texts are put between quotes as they are where none of the column has
anything to escape, and msgspec says that by a backslash. ADR 0146 has what it was measured against.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from mainstay.adapters.sql.codec import Codec, Row, in_whole, one_cell, scope_of, twin
from mainstay.adapters.sql.columns import BoundColumn, Columns
from mainstay.model.schema import Attribute, FieldKind
from mainstay.ports.kept import Kept

_CUT = frozenset(
    {FieldKind.INTEGER, FieldKind.FLOAT, FieldKind.BOOLEAN, FieldKind.DECIMAL, FieldKind.BYTES}
    | {FieldKind.DATETIME, FieldKind.DATE, FieldKind.TIME, FieldKind.UUID}
)
"""The kinds of values in whose JSON there is no comma."""

_encode = msgspec.json.encode


class Teller(NamedTuple):
    """``tell`` writes rows as a list in JSON; ``values`` read single fields of a row, by name."""

    tell: Callable[[Sequence[Row]], bytes]
    values: Mapping[str, Callable[[Row], Any]]


class SqlKept(Kept[Any]):
    """Rows as the driver gave them."""

    __slots__ = ("_codec", "_rows", "_teller")

    def __init__(self, rows: list[Row], teller: Teller, codec: Codec) -> None:
        self._rows = rows
        self._teller = teller
        self._codec = codec

    def __len__(self) -> int:
        return len(self._rows)

    def cut(self, size: int) -> None:
        del self._rows[size:]

    def ends_with(self, fields: Sequence[str]) -> list[Any]:
        last, values = self._rows[-1], self._teller.values
        return [values[field](last) for field in fields]

    def made(self) -> list[Any]:
        return self._codec.many(self._rows) if self._rows else []

    def told(self) -> bytes | None:
        if not self._rows:
            return b"[]"
        try:
            return self._teller.tell(self._rows)
        except Exception:  # whatever is wrong with a row is told by who makes an entity of it
            return None


def teller(columns: Columns) -> Teller | None:
    """Generate the functions of one entity, or return None where it has a field that is not known here."""
    bound = list(columns.by_name.values())
    names = _names(columns)
    if not columns.dialect.tells or names is None or not all(map(_is_known, bound)):
        return None
    scope = scope_of(columns, bound)
    scope.update({"cut": _cut, "whole": _whole, "escaped": _escaped, "texts": _texts})
    for index, column in enumerate(bound):
        if column.attribute.kind is FieldKind.ENUM:
            scope[f"member_{index}"] = _members(column.attribute).__getitem__
    made = [_fragments(columns, column, index) for index, column in enumerate(bound)]
    ends = [("", "") if behind is None else ('"', f'{behind}"') for _, behind in made]
    starts = [f"{_encode(name).decode()}:{start}" for name, (start, _) in zip(names, ends, strict=True)]
    between = [f"{end},{start}" for (_, end), start in zip(ends, starts[1:], strict=False)]
    scope["FIRST"], scope["LAST"] = "[{" + starts[0], ends[-1][1] + "}]"
    frame = [ends[-1][1] + "},{" + starts[0], *between]
    scope["FRAME"] = [part for literal in frame for part in (literal, None)]
    source = "\n".join(_source(bound, [expression for expression, _ in made], columns))
    exec(compile(source, f"<telling of {columns.shape.name}>", "exec"), scope)  # noqa: S102 - our own text
    return Teller(scope["tell"], {column.name: scope[f"value_{i}"] for i, column in enumerate(bound)})


def _names(columns: Columns) -> list[str] | None:
    """Return the names of the columns in JSON, or None where msgspec would write more, or something else, than them."""
    entity = columns.shape.type
    config = entity.__struct_config__
    if hasattr(entity, "__post_init__") or config.tag is not None or config.omit_defaults or config.array_like:
        return None
    infos = {info.name: info.encode_name for info in msgspec.structs.fields(entity)}
    return [infos[name] for name in columns.by_name]


def _is_known(column: BoundColumn) -> bool:
    attribute = column.attribute
    return not attribute.hidden and (attribute.kind in _CUT or attribute.kind in (FieldKind.STRING, FieldKind.ENUM))


def _members(attribute: Attribute) -> dict[Any, str]:
    """Return the members of an enumeration in JSON, by the value that is stored."""
    told = {member.value: _encode(member).decode() for member in attribute.base}
    return {**told, None: "null"} if attribute.optional else told


def _fragments(columns: Columns, column: BoundColumn, index: int) -> tuple[str, str | None]:
    """Return the expression of a column's texts in JSON, and what is behind each before its quote.

    None stands for texts that need no quotes around them.
    """
    attribute, dialect, cell = column.attribute, columns.dialect, f"c{index}"
    if attribute.kind is FieldKind.ENUM:
        return f"list(map(member_{index}, {cell}))", None
    if attribute.kind is FieldKind.STRING:
        return (f"texts({cell})", None) if attribute.optional else (f"escaped({cell})", "")
    telling = None if attribute.optional else dialect.told(attribute)
    if telling is not None:
        return telling[0].format(cell), telling[1]
    cut = "whole" if attribute.kind is FieldKind.INTEGER else "cut"
    return f"{cut}({in_whole(column, index, dialect)})", None


def _source(bound: list[BoundColumn], expressions: list[str], columns: Columns) -> Iterator[str]:
    """Give the lines of the functions."""
    cells, width = ", ".join(f"c{index}" for index in range(len(bound))), 2 * len(bound)
    yield f"def tell(rows):\n    {cells}, = zip(*rows)"
    yield "    parts = FRAME * len(rows)\n    parts[0] = FIRST"
    for index, expression in enumerate(expressions):
        first = twin(bound, index)
        same = "" if first is None else f"f{first} if c{index} == c{first} else "
        yield f"    parts[{2 * index + 1}::{width}] = f{index} = {same}{expression}"
    yield '    parts.append(LAST)\n    return "".join(parts).encode()'
    for index, column in enumerate(bound):
        yield f"def value_{index}(row):\n    c{index} = row[{index}]"
        yield f"    try:\n        return {one_cell(column, index, columns.dialect)}"
        yield "    except Exception as error:\n        raise unreadable(Entity, error) from error"


def _cut(values: Sequence[Any]) -> list[str]:
    """Return the values in JSON."""
    return _encode(values).decode()[1:-1].split(",")


def _whole(values: Sequence[Any]) -> list[str]:
    """Return whole numbers in JSON: often all rows of a page are of one version."""
    return _cut(values[:1]) * len(values) if values.count(values[0]) == len(values) else _cut(values)


def _escaped(cells: Sequence[str]) -> Sequence[str]:
    """Return texts as they stand between the quotes."""
    if b"\\" in _encode(cells):
        return [_encode(cell).decode()[1:-1] for cell in cells]
    return cells


def _texts(cells: Sequence[str | None]) -> list[str]:
    """Return texts in JSON, where some may be null."""
    if b"\\" in _encode(cells):
        return [_encode(cell).decode() for cell in cells]
    return ["null" if cell is None else f'"{cell}"' for cell in cells]
