"""Which fields of which tables name rows of which, worked out once at a store's start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from mainstay.model.structs import Entity
from mainstay.ports.store import Table


class Outgoing(msgspec.Struct, frozen=True):
    """A field of this table that names a row of another."""

    field: str
    target: type[Entity]


class Incoming(msgspec.Struct, frozen=True):
    """A field of another table that names a row of this one, and what becomes of its rows when that is deleted."""

    entity: type[Entity]
    field: str
    on_delete: str


class Links(msgspec.Struct, frozen=True):
    """The references from and to one table."""

    outgoing: tuple[Outgoing, ...]
    incoming: tuple[Incoming, ...]


def links(tables: Sequence[Table]) -> Mapping[type[Entity], Links]:
    """Return the references of all tables. Raises ``ValueError`` where one names none of them."""
    outgoing = {table.shape.type: tuple(_outgoing(table, tables)) for table in tables}
    return {
        entity: Links(
            outgoing[entity],
            tuple(
                Incoming(other.shape.type, reference.field, other.shape.by_name[reference.field].spec.on_delete)
                for other in tables
                for reference in outgoing[other.shape.type]
                if reference.target is entity
            ),
        )
        for entity in outgoing
    }


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
