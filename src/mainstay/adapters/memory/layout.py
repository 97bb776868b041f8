"""What the memory store has to know of a table, worked out once at its start."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec

from mainstay.model.schema import Attribute, FieldKind
from mainstay.model.structs import Entity
from mainstay.model.values import Secret
from mainstay.ports.store import Table

_SHARED = frozenset({FieldKind.LIST, FieldKind.MAP, FieldKind.STRUCT, FieldKind.ANY})


class Outgoing(msgspec.Struct, frozen=True):
    """A field of this table that names a row of another."""

    field: str
    target: type[Entity]


class Incoming(msgspec.Struct, frozen=True):
    """A field of another table that names a row of this one, and what becomes of its rows when that is deleted."""

    entity: type[Entity]
    field: str
    on_delete: str


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one table."""

    entity: type[Entity]
    name: str
    unique: tuple[str, ...]
    outgoing: tuple[Outgoing, ...]
    incoming: tuple[Incoming, ...]
    attributes: Mapping[str, Attribute]
    shared: tuple[str, ...]  # fields whose values can be changed in place, and so are copied in and out
    relations: Mapping[str, Any]

    def take(self, row: Any) -> Any:
        """Return a row as it is kept: without the rows related to it, and with nothing that the giver still holds."""
        if not self.shared and not self.relations:
            return row
        return msgspec.structs.replace(row, **self.relations, **{n: copied(getattr(row, n)) for n in self.shared})

    def lend(self, row: Any) -> Any:
        """Return a kept row for others, who can change nothing of what is kept."""
        if not self.shared:
            return row
        return msgspec.structs.replace(row, **{n: copied(getattr(row, n)) for n in self.shared})

    def sorter(self, field: str) -> Callable[[Any], Any]:
        """Return the sort key of a field: null before every value, an enum by its value."""

        def key(row: Any) -> tuple[bool, Any]:
            value = plain(getattr(row, field))
            return value is not None, value

        return key


def copied(value: Any) -> Any:
    """Return a value that shares nothing changeable with the one given."""
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(copied(item) for item in value)
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **{n: copied(getattr(value, n)) for n in value.__struct_fields__})
    return value


def plain(value: Any) -> Any:
    """Return what a value is ordered by."""
    if isinstance(value, Enum):
        return value.value
    return value.reveal() if isinstance(value, Secret) else value


def layouts(tables: Sequence[Table]) -> dict[type[Entity], Layout]:
    """Return the layouts of tables. Raises ``ValueError`` where a reference names none of them."""
    outgoing = {table.shape.type: tuple(_outgoing(table, tables)) for table in tables}
    made: dict[type[Entity], Layout] = {}
    for table in tables:
        entity = table.shape.type
        made[entity] = Layout(
            entity=entity,
            name=table.shape.name,
            unique=tuple(a.name for a in table.shape.attributes if a.spec.unique),
            outgoing=outgoing[entity],
            incoming=tuple(
                Incoming(other.shape.type, reference.field, other.shape.by_name[reference.field].spec.on_delete)
                for other in tables
                for reference in outgoing[other.shape.type]
                if reference.target is entity
            ),
            attributes=table.shape.by_name,
            shared=tuple(a.name for a in table.shape.attributes if a.kind in _SHARED),
            relations={relation.name: msgspec.UNSET for relation in table.shape.relations},
        )
    return made


def _outgoing(table: Table, tables: Sequence[Table]) -> list[Outgoing]:
    found = []
    for attribute in table.shape.attributes:
        reference = attribute.spec.references
        if reference is None:
            continue
        named = [t for t in tables if reference in (t.shape.type, t.shape.name)]
        named.sort(key=lambda t: t.module != table.module)
        if not named:
            raise ValueError(f"{table.shape.name}.{attribute.name} references {reference!r}, which has no table")
        found.append(Outgoing(attribute.name, named[0].shape.type))
    return found
