"""Where everything stands in the one table: rows in partitions by their id, and beside them what keeps the rules.

| item | partition key | sort key | holds |
|---|---|---|---|
| row | ``table|shard`` | id | the fields, and a stamp that is new in each write |
| guard | ``table|guard`` | shard | a number that each write to the shard raises |
| unique value | ``table|unique|field|digest`` | ``-`` | the id of the row that has it |
| reference | ``table|ref|field|target id`` | id | nothing |
| claim | ``|claim|key`` | ``-`` | the holder, and until when |
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import msgspec

from mainstay.adapters.dynamo.codec import Codec, Field, Item, Value
from mainstay.model.schema import Shape
from mainstay.model.structs import Entity
from mainstay.ports.links import Incoming, Outgoing, links
from mainstay.ports.store import Table
from mainstay.ports.uniqueness import Uniqueness, uniqueness

SHARDS = 4
"""The partitions of a table's rows. It is part of what is stored: it cannot change."""

PARTITION, SORT = "#pk", "#sk"
STAMP, OWNER, NUMBER = "#stamp", "#id", "#n"  # no field has such names
ONLY = "-"  # the sort key where there is one item


class Key(NamedTuple):
    """Where an item stands."""

    partition: str
    sort: str

    def item(self) -> dict[str, Value]:
        """Return the attributes of the key."""
        return {PARTITION: {"S": self.partition}, SORT: {"S": self.sort}}


def key_of(item: Item) -> Key:
    """Return where an item stands."""
    return Key(item[PARTITION]["S"], item[SORT]["S"])


class Layout(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The rules of one table."""

    entity: type[Entity]
    name: str
    table: str
    shape: Shape
    codec: Codec
    unique: Uniqueness
    outgoing: tuple[Outgoing, ...]
    incoming: tuple[Incoming, ...]

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name."""
        return self.codec.fields

    def row(self, id: UUID) -> Key:
        """Return where a row stands."""
        return Key(self.partition(id.int % SHARDS), str(id))

    def partition(self, shard: int) -> str:
        """Return the partition of a shard's rows."""
        return f"{self.table}|{shard}"

    def guards(self) -> list[Key]:
        """Return where the guards of all shards stand."""
        return [self.guard(shard) for shard in range(SHARDS)]

    def guard(self, shard: int) -> Key:
        """Return where the guard of a shard stands."""
        return Key(f"{self.table}|guard", str(shard))

    def taken(self, field: str, *values: Value) -> Key:
        """Return where the mark of a unique value stands: of the field, behind that of the tenant where it has one."""
        return Key(f"{self.table}|unique|{field}|{'|'.join(map(_digest, values))}", ONLY)

    def referring(self, field: str, target: str) -> str:
        """Return the partition of the marks of those rows that refer to another."""
        return f"{self.table}|ref|{field}|{target}"

    def marks(self, item: Item | None) -> Iterator[tuple[str, Key]]:
        """Give where the marks of a row's unique values stand, each with its field."""
        for field in self.unique.fields:
            if item is not None and field in item and self.unique.unless not in item:
                yield field, self.taken(field, *(item[column] for column in self.unique.columns(field)))

    def edges(self, item: Item | None) -> Iterator[Key]:
        """Give where the marks of a row's references stand."""
        for reference in self.outgoing:
            if item is not None and reference.field in item:
                yield Key(self.referring(reference.field, item[reference.field]["S"]), item["id"]["S"])


def _digest(value: Value) -> str:
    """Return what stands for a value in a key, which is bounded in length."""
    ((kind, held),) = value.items()
    if kind == "N":  # the service takes the zeros off the end
        held = str(Decimal(held).normalize())
    data = held if isinstance(held, bytes) else str(held).encode()
    return hashlib.sha256(kind.encode() + b":" + data).hexdigest()


def layouts(tables: Sequence[Table]) -> dict[type[Entity], Layout]:
    """Return the layouts of tables. Raises ``ValueError`` where a reference names none of them."""
    linked = links(tables)
    made: dict[type[Entity], Layout] = {}
    for table in tables:
        made[table.shape.type] = Layout(
            entity=table.shape.type,
            name=table.shape.name,
            table=table.name,
            shape=table.shape,
            codec=Codec(table.shape),
            unique=uniqueness(table.shape),
            outgoing=linked[table.shape.type].outgoing,
            incoming=linked[table.shape.type].incoming,
        )
    return made
