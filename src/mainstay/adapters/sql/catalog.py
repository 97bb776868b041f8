"""The statements of all entities of a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mainstay.adapters.sql.dialect import Dialect
from mainstay.adapters.sql.layout import check_tables
from mainstay.adapters.sql.statements import Statements
from mainstay.model.structs import Entity
from mainstay.ports.store import Table

Catalog = Mapping[type[Entity], Statements]


def catalog_of(tables: Sequence[Table], dialect: Dialect) -> Catalog:
    """Return the statements of these entities. Raises ``TableFault`` where one cannot be stored."""
    check_tables(tables, dialect)
    made = {table.name: Statements(table, dialect) for table in tables}
    for statements in made.values():
        statements.link(made)
    return {statements.table.shape.type: statements for statements in made.values()}


def statements_of(catalog: Catalog, entity: type[Entity]) -> Statements:
    """Return the statements of an entity. Raises ``LookupError`` where it has no table."""
    try:
        return catalog[entity]
    except KeyError:
        raise LookupError(f"{entity.__name__} has no table in this store") from None
