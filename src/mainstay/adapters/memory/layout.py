"""What the memory store has to know of a table, worked out once at its start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mainstay.model.schema import Attribute, FieldKind
from mainstay.model.structs import Entity
from mainstay.ports.links import Incoming, Outgoing, links
from mainstay.ports.store import Table
from mainstay.ports.uniqueness import Uniqueness, uniqueness

_SHARED = frozenset({FieldKind.LIST, FieldKind.MAP, FieldKind.STRUCT, FieldKind.ANY})


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one table."""

    entity: type[Entity]
    name: str
    unique: Uniqueness
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


def copied(value: Any) -> Any:
    """Return a value that shares nothing changeable with the one given."""
    if isinstance(value, list | tuple | set | frozenset):
        return type(value)(copied(item) for item in value)
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **{n: copied(getattr(value, n)) for n in value.__struct_fields__})
    return value


def layouts(tables: Sequence[Table]) -> dict[type[Entity], Layout]:
    """Return the layouts of tables. Raises ``ValueError`` where a reference names none of them."""
    linked = links(tables)
    return {
        table.shape.type: Layout(
            entity=table.shape.type,
            name=table.shape.name,
            unique=uniqueness(table.shape),
            outgoing=linked[table.shape.type].outgoing,
            incoming=linked[table.shape.type].incoming,
            attributes=table.shape.by_name,
            shared=tuple(a.name for a in table.shape.attributes if a.kind in _SHARED),
            relations={relation.name: msgspec.UNSET for relation in table.shape.relations},
        )
        for table in tables
    }
