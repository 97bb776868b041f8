"""What this store has to know of a table, worked out once at its start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from pymongo import ASCENDING, IndexModel

from mainstay.adapters.mongo.codec import Codec, Field, words_path
from mainstay.model.schema import Shape
from mainstay.model.structs import Entity
from mainstay.ports.links import Incoming, Outgoing, links
from mainstay.ports.store import Table
from mainstay.ports.uniqueness import Uniqueness, uniqueness


class Layout(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The rules of one table, and the name of its collection."""

    entity: type[Entity]
    name: str
    collection: str
    shape: Shape
    codec: Codec
    unique: Uniqueness
    outgoing: tuple[Outgoing, ...]
    incoming: tuple[Incoming, ...]

    @property
    def fields(self) -> Mapping[str, Field]:
        """The fields by name."""
        return self.codec.fields

    @property
    def words(self) -> tuple[str, ...]:
        """Where the words of searchable fields stand, which are found by and never read."""
        return tuple(map(words_path, self.codec.searchable))

    def indexes(self) -> list[IndexModel]:
        """Return the indexes that the declarations ask for; those that are not unique end with the id."""
        leading = [] if self.unique.within is None else [self.fields[self.unique.within].path]
        made = [IndexModel([(each, ASCENDING) for each in (*leading, path)]) for path in self.words]
        for name, field in self.fields.items():
            spec = field.attribute.spec
            if spec.unique:
                made.append(self._unique_index(name, field))
            elif any(reference.field == name for reference in self.outgoing):
                made.append(IndexModel([(field.path, ASCENDING), ("_id", ASCENDING)]))
            elif spec.index:
                paths = dict.fromkeys((*leading, field.path, "_id"))
                made.append(IndexModel([(path, ASCENDING) for path in paths]))
        return made

    def _unique_index(self, name: str, field: Field) -> IndexModel:
        """A null is left out of the document, and so out of the index: nulls are distinct."""
        if name in self.unique.everywhere:
            return IndexModel([(field.path, ASCENDING)], unique=True, sparse=field.attribute.optional)
        keys = [(self.fields[column].path, ASCENDING) for column in self.unique.columns(name)]
        there: dict[str, Any] = {field.path: {"$exists": True}} if field.attribute.optional else {}
        if self.unique.unless is not None:
            there[self.unique.unless] = None
        return IndexModel(keys, unique=True, **({"partialFilterExpression": there} if there else {}))

    def field_at(self, paths: Iterable[str]) -> str:
        """Return the name of the field that a conflict in an index over these places is about."""
        names = {field.path: name for name, field in self.fields.items()}
        return self.unique.told([names.get(path, path) for path in paths])


def layouts(tables: Sequence[Table]) -> dict[type[Entity], Layout]:
    """Return the layouts of tables, but for those of words, which are within the rows here.

    Raises ``ValueError`` where a reference names none of them.
    """
    tables = [table for table in tables if not table.words]
    linked = links(tables)
    return {
        table.shape.type: Layout(
            entity=table.shape.type,
            name=table.shape.name,
            collection=table.name,
            shape=table.shape,
            codec=Codec(table.shape),
            unique=uniqueness(table.shape),
            outgoing=linked[table.shape.type].outgoing,
            incoming=linked[table.shape.type].incoming,
        )
        for table in tables
    }
