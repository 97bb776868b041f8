"""How entities lie in tables: what a store must know of its columns, with no library between.

A worker that serves reads and writes by this alone. What makes and changes schemas builds SQLAlchemy's tables of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mainstay.adapters.sql.dialect import Dialect, TableFault
from mainstay.model.schema import Attribute
from mainstay.ports.store import Table
from mainstay.ports.uniqueness import uniqueness


def referenced(table: Table, attribute: Attribute, tables: Sequence[Table]) -> Table:
    """Return the table that a field refers to. Raises ``TableFault`` where there is none, or more than one."""
    target = attribute.spec.references
    if isinstance(target, type):
        found = [t for t in tables if t.shape.type is target]
    else:
        named = [t for t in tables if t.shape.name == target]
        found = [t for t in named if t.module == table.module] or named
    if len(found) == 1:
        return found[0]
    name = getattr(target, "__name__", target)
    if found:
        raise TableFault(f"references {name!r}, which more than one module has: give the class instead of its name")
    raise TableFault(f"references {name!r}, which is no entity of this store")


def references_of(table: Table, tables: Sequence[Table]) -> Iterator[tuple[Attribute, Table]]:
    """Give the fields that refer to rows, each with the table of its target. Raises ``TableFault``."""
    for attribute in table.shape.attributes:
        if attribute.spec.references is not None:
            yield attribute, referenced(table, attribute, tables)


def check_tables(tables: Sequence[Table], dialect: Dialect) -> None:
    """Raise ``TableFault`` with all that keeps entities from being stored, one a line."""
    faults: list[str] = []
    names: set[str] = set()
    for table in tables:
        if table.name in names:
            faults.append(
                f"{table.shape.name}: another entity's table is named {table.name} too: give one another name"
            )
            continue
        names.add(table.name)
        for attribute in table.shape.attributes:
            try:
                dialect.storing(attribute)
                if attribute.spec.references is not None:
                    referenced(table, attribute, tables)
                if attribute.spec.unique:
                    columns = uniqueness(table.shape).columns(attribute.name)
                    dialect.check_key([table.shape.by_name[column] for column in columns])
            except TableFault as fault:
                faults.append(f"{table.shape.name}.{attribute.name}: {fault}")
    if faults:
        raise TableFault("\n".join(faults))
