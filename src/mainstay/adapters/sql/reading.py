"""``Sql``: questions that verbs do not reach, asked in SQLAlchemy's language, under the same row policies.

It is the one port that takes statements. What it gives out as a table is a selection of the rows that the caller may
see; raw SQL, which no policy can be put into, has to be asked for by name and with a reason.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.elements import ColumnClause, TextClause, UnaryExpression
from sqlalchemy.sql.operators import custom_op
from sqlalchemy.sql.selectable import FromClause, SelectBase, Subquery, TableClause, TextualSelect

from mainstay.adapters.sql.compile import predicate
from mainstay.adapters.sql.dialect import Dialect
from mainstay.adapters.sql.outline import outline
from mainstay.adapters.sql.rows import Found
from mainstay.adapters.sql.statements import Statements
from mainstay.adapters.sql.tables import build_metadata
from mainstay.adapters.sql.types import compiler_of
from mainstay.model.conditions import FALSE, TRUE, Condition
from mainstay.model.policy import prepare
from mainstay.model.structs import Entity
from mainstay.ports.unit_of_work import UnitOfWork

_OPERATOR = re.compile(r"[-+*/%|&<>=~^!@#?]{1,4}|[A-Za-z]+(?: [A-Za-z]+)*")
_PARTS = ("_prefixes", "_suffixes", "_hints", "_statement_hints")


class Restricted(TypeError):
    """A statement holds what no row policy can be put into."""


class Reader(Protocol):
    """What is needed of a transaction: those of SQL stores have it."""

    dialect: Dialect

    def run(self, statement: str, bindings: Sequence[Any]) -> Found:
        """Run a read that is written in the driver's own signs."""

    def statements(self, entity: type[Entity]) -> Statements:
        """Return the statements of an entity."""


class Sql:
    """Questions in SQLAlchemy's language: ``await sql.fetch(select(orders.c.id).where(...))``.

    ``sql.table(Order)`` is a selectable with the columns of the entity's fields: only the rows that the caller may see,
    without the fields that it may not. In a query it reads the call's snapshot, in a command behind all queued writes.
    """

    __slots__ = ("_given", "_unit")

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit
        self._given: dict[type[Entity], Subquery] = {}

    def table(self, entity: type[Entity]) -> FromClause:
        """Return the rows of an entity that the caller may see. Raises ``LookupError`` where it has no table."""
        given = self._given.get(entity)
        if given is None:
            given = self._given[entity] = self._selected(entity).subquery(entity.__name__)
        return given

    async def fetch(self, statement: SelectBase, /) -> list[Any]:
        """Run a ``select`` over tables of this object and return its rows, as named tuples with the fields' own types.

        Raises ``Restricted`` for text, for tables of another origin, and for statements that change something.
        """
        check(statement, list(self._given.values()))
        return await _run(_reader(self._unit), statement)

    def unrestricted(self, *, reason: str) -> Unrestricted:
        """Return what runs raw SQL, past all row policies. ``reason`` is for those who read the code."""
        if not reason.strip():
            raise ValueError("unrestricted() needs a reason: why are the row policies of no use here?")
        return Unrestricted(self._unit)

    def _selected(self, entity: type[Entity]) -> sa.Select[Any]:
        unit = self._unit
        statements = _reader(unit).statements(entity)
        who, columns, built = unit.frame.who, [], _built(statements)
        for column in statements.columns.by_name.values():
            spec = column.attribute.spec
            mask = TRUE if spec.read is None else prepare(spec.read, statements.columns.shape.types).reduce(who)
            if mask is not FALSE and not column.attribute.hidden:
                held = built.c[column.name]
                columns.append(held if mask is TRUE else _masked(held, mask, statements))
        made = sa.select(*columns)
        reach = unit.reach(unit.frame.plans[entity])
        return made if reach is TRUE else made.where(_condition(reach, statements))


class Unrestricted:
    """Raw SQL, past all row policies."""

    __slots__ = ("_unit",)

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    async def fetch(self, statement: str | ClauseElement, /, **parameters: Any) -> list[Any]:
        """Run a statement and return its rows, of raw SQL as they are stored. ``:name`` stands for a parameter.

        A value is never put into the text: it is bound, times and UUIDs in their stored form.
        """
        element: Any = sa.text(statement) if isinstance(statement, str) else statement
        reader = _reader(self._unit)
        if parameters:
            element = element.bindparams(**{name: reader.dialect.plain(value) for name, value in parameters.items()})
        return await _run(reader, element)


def _built(statements: Statements) -> sa.Table:
    """Return the table of an entity, made at its first use: a service without such questions needs no SQLAlchemy."""
    if statements.selectable is None:
        everything = statements.others.values()
        metadata = build_metadata([each.table for each in everything], statements.columns.dialect)
        for each in everything:
            each.selectable = metadata.tables[each.table.name]
    table: sa.Table = statements.selectable
    return table


def _condition(condition: Condition, statements: Statements) -> TextClause:
    """Return a condition as text with its values bound, under names that are unlike those of the rest."""
    bound: list[Any] = []
    shape = outline(condition, statements.columns, bound)
    first, *rest = predicate(shape, statements.columns).split("?")
    text = first + "".join(f":mainstay_{number}{part}" for number, part in enumerate(rest))
    given = [sa.bindparam(f"mainstay_{n}", value, sa.types.NullType(), unique=True) for n, value in enumerate(bound)]
    return sa.text(text).bindparams(*given)


def _masked(column: sa.Column[Any], mask: Condition, statements: Statements) -> Any:
    """Null where the row does not let the caller read the field."""
    shown = sa.case((_condition(mask, statements), sa.type_coerce(column, sa.types.NullType())), else_=sa.null())
    return sa.type_coerce(shown, column.type).label(column.name)


def _reader(unit: UnitOfWork) -> Reader:
    transaction: Any = unit.transaction()
    if not hasattr(transaction, "statements"):
        raise TypeError("Sql needs a SQL store: this service runs on another one")
    return transaction  # type: ignore[no-any-return]  # it has what is asked of it


def check(statement: Any, given: Sequence[Any]) -> None:
    """Raise ``Restricted`` where a statement holds anything but what was given and expressions over it."""
    if not isinstance(statement, SelectBase) or isinstance(statement, TextualSelect):
        raise Restricted("fetch() takes a select(...): what changes rows goes through a repository")
    known = {id(each) for each in given}
    left: list[Any] = [statement]
    seen: set[int] = set()
    while left:
        element = left.pop()
        if id(element) in known or id(element) in seen:
            continue
        seen.add(id(element))
        left.extend(_looked_at(element))


def _looked_at(element: Any) -> Iterator[Any]:
    """Refuse an element, or give those that it is made of."""
    literal = getattr(element, "is_literal", False) and element.name != "*"  # of count(*)
    if literal or isinstance(element, TextClause | TextualSelect):
        raise Restricted("text in a statement is past all row policies: sql.unrestricted(reason=...) runs it")
    if isinstance(element, TableClause):
        raise Restricted(f"{element.name}: take tables from sql.table(...), which knows the row policies")
    if any(getattr(element, part, None) for part in _PARTS):
        raise Restricted("prefixes, suffixes and hints are text: sql.unrestricted(reason=...) runs them")
    for name in ("operator", "modifier"):
        operator = getattr(element, name, None)
        if isinstance(operator, custom_op) and _OPERATOR.fullmatch(operator.opstring) is None:
            raise Restricted(f"{operator.opstring!r} is no operator")
    if isinstance(element, ColumnClause) and element.table is not None:
        yield element.table
    if isinstance(element, SelectBase) and hasattr(element, "get_final_froms"):
        yield from element.get_final_froms()
    if not isinstance(element, UnaryExpression) or element.element is not None:
        yield from element.get_children()


async def _run(reader: Reader, statement: Any) -> list[Any]:
    dialect = compiler_of(reader.dialect)
    made: Any = statement.compile(dialect=dialect)
    state = made.construct_expanded_state()
    # Private to SQLAlchemy, but all that its own execution uses: what binds and reads values by the types of columns.
    processors: Mapping[str, Callable[[Any], Any]] = {**made._bind_processors, **state.processors}
    bindings = [
        processors[name](state.parameters[name]) if name in processors else reader.dialect.plain(state.parameters[name])
        for name in state.positiontup
    ]
    found = reader.run(state.statement, bindings)
    rows = found if isinstance(found, list) else await found
    if not rows:
        return []
    entries = made._result_columns
    readers = [entry.type._cached_result_processor(dialect, None) for entry in entries] or [None] * len(rows[0])
    make = namedtuple("Row", [str(e.keyname) for e in entries] or [f"c{n}" for n in range(len(rows[0]))], rename=True)  # type: ignore[misc]
    return [make(*(c if r is None else r(c) for c, r in zip(row, readers, strict=True))) for row in rows]
