"""What this store has to know of a table, worked out once at its start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from pymongo import ASCENDING, IndexModel

from mainstay.adapters.mongo.codec import Codec, Field
from mainstay.model.schema import Shape
from mainstay.model.structs import Entity
from mainstay.ports.links import Incoming, Outgoing, links
from mainstay.ports.store import Table


class Layout(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The rules of one table, and the name of its collection."""

    entity: type[Entity]
    name: str
    collection: str
    shape: Shape
    codec: Codec
    unique: frozenset[str]
    outgoing: tuple[Outgoing, ...]
    incoming: tuple[Incoming, ...]

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name."""
        return self.codec.fields

    def indexes(self) -> list[IndexModel]:
        """Return the indexes that the declarations ask for; those that are not unique end with the id."""
        made = []
        for name, field in self.fields.items():
            spec = field.attribute.spec
            if spec.unique:
                # A null is left out of the document, and so out of a sparse index: nulls are distinct.
                made.append(IndexModel([(field.path, ASCENDING)], unique=True, sparse=field.attribute.optional))
            elif spec.index or any(reference.field == name for reference in self.outgoing):
                made.append(IndexModel([(field.path, ASCENDING), ("_id", ASCENDING)]))
        return made

    def field_at(self, path: Any) -> str:
        """Return the name of the field that stands at a place of the documents."""
        return next((name for name, field in self.fields.items() if field.path == path), str(path))


def layouts(tables: Sequence[Table]) -> dict[type[Entity], Layout]:
    """Return the layouts of tables. Raises ``ValueError`` where a reference names none of them."""
    linked = links(tables)
    return {
        table.shape.type: Layout(
            entity=table.shape.type,
            name=table.shape.name,
            collection=table.name,
            shape=table.shape,
            codec=Codec(table.shape),
            unique=frozenset(a.name for a in table.shape.attributes if a.spec.unique),
            outgoing=linked[table.shape.type].outgoing,
            incoming=linked[table.shape.type].incoming,
        )
        for table in tables
    }
