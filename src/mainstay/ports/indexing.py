"""The words of searchable fields, stored beside the rows that have them, so that a search finds rows by an index.

Each word of a row is a row of a table of its own, in the same transaction. Its text begins with the name of the field,
so that one index finds a word in a field, and all words that begin with it. A store whose documents hold lists keeps
the words within the row, and writes them with each value of a searchable field: nothing is to be done for it here, but
for rows from before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from mainstay.model.conditions import FALSE, Among, Compare, Condition, Contains
from mainstay.model.fields import field
from mainstay.model.inputs import Sort
from mainstay.model.structs import Entity
from mainstay.model.words import LONGEST_WORD, words_of
from mainstay.ports.rows import Change, Query
from mainstay.ports.unit_of_work import EntityPlan, UnitOfWork

_MANY_IDS = 500
_PORTION = 200


def words_entity(entity: type[Entity]) -> type[Entity]:
    """Return the entity of the words of another one's rows: they are gone with the row that they are of."""
    body: dict[str, Any] = {
        "__module__": entity.__module__,
        "__doc__": f"A word of a searchable field of {entity.__name__}.",
        "__annotations__": {"row_id": UUID, "word": str},
        "row_id": field(references=entity, on_delete="cascade"),
        "word": field(index=True, max_length=100 + LONGEST_WORD),
    }
    make: Any = type(Entity)
    made: type[Entity] = make(f"{entity.__name__}Word", (Entity,), body)
    return made


def words_table(table: str) -> str:
    """Return the name of the table of the words of a table's rows."""
    return f"{table}_words"


def stored_word(name: str, word: str) -> str:
    """Return a word of a field as it is stored."""
    return f"{name}:{word}"


def insert(unit: UnitOfWork, plan: EntityPlan, rows: Sequence[Any]) -> None:
    """Queue rows to be inserted, with their words."""
    unit.transaction().rows(plan.shape.type).insert(rows)
    if plan.words is not None:
        add_words(unit, plan, rows, plan.searchable)


def add_words(unit: UnitOfWork, plan: EntityPlan, rows: Iterable[Any], names: Sequence[str]) -> None:
    """Queue the words of fields of rows to be inserted, where the store finds rows by them."""
    if unit.frame.store.capabilities.words == "beside" and plan.words is not None:
        made = [word for row in rows for word in _words(unit, plan, row.id, {n: getattr(row, n) for n in names})]
        unit.transaction().rows(plan.words).insert(made)


def replace_words(unit: UnitOfWork, plan: EntityPlan, ids: Sequence[UUID], values: Mapping[str, Any]) -> None:
    """Give rows the words of fields that have got new values, behind what is queued."""
    changed = {name: values[name] for name in plan.searchable if name in values}
    if not changed or plan.words is None or unit.frame.store.capabilities.words != "beside":
        return
    stored = unit.transaction().rows(plan.words)
    for start in range(0, len(ids), _MANY_IDS):
        part = ids[start : start + _MANY_IDS]
        where = Among("row_id", tuple(part)) & _of_fields(changed)
        stored.enqueue(Change(where=where, changes=None))
        stored.insert([word for id_ in part for word in _words(unit, plan, id_, changed)])


async def index_portion(unit: UnitOfWork, plan: EntityPlan, after: UUID) -> list[UUID]:
    """Store the words of the rows behind an id anew, of 200 at most, and return their ids: none at the end."""
    assert plan.words is not None  # whoever asks has looked
    where = Compare("id", "gt", after)
    stored = unit.transaction().rows(plan.shape.type)
    rows = await stored.fetch(Query(where=where, sort=(Sort("id"),), limit=_PORTION))
    ids = [row.id for row in rows]
    if unit.frame.store.capabilities.words == "within":
        for row in rows:
            given = {name: getattr(row, name) for name in plan.searchable}
            stored.enqueue(Change(where=Compare("id", "eq", row.id), changes=given, id=row.id))
    elif ids:
        unit.transaction().rows(plan.words).enqueue(Change(where=Among("row_id", tuple(ids)), changes=None))
        add_words(unit, plan, rows, plan.searchable)
    return ids


async def ids_of(unit: UnitOfWork, plan: EntityPlan, where: Condition, changes: Mapping[str, Any]) -> list[UUID]:
    """Return the rows that a change of many is of, where it is of searchable fields."""
    beside = unit.frame.store.capabilities.words == "beside"
    if not beside or plan.words is None or changes.keys().isdisjoint(plan.searchable):
        return []
    return [row.id async for row in unit.transaction().rows(plan.shape.type).stream(Query(where=where))]


def _of_fields(names: Iterable[str]) -> Condition:
    where: Condition = FALSE
    for name in names:
        where = where | Contains("word", stored_word(name, ""), "start")
    return where


def _words(unit: UnitOfWork, plan: EntityPlan, id_: UUID, values: Mapping[str, str | None]) -> Iterator[Any]:
    assert plan.words is not None  # whoever asks has looked
    now = unit.frame.clock.now()
    for name, text in values.items():
        for word in words_of(text or ""):
            yield plan.words(
                id=unit.frame.ids.next(),
                version=1,
                created_at=now,
                updated_at=now,
                row_id=id_,  # type: ignore[call-arg]  # it is made at start-up
                word=stored_word(name, word),
            )
