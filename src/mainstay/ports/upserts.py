"""Rows that are added, or change the row that has their value of a unique field, under the rules of the repository."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Generic, TypeVar

import msgspec

from mainstay.model.conditions import Among, Compare, Condition, holds
from mainstay.model.problem import (
    Conflict,
    Fault,
    Forbidden,
    Invalid,
    PreconditionFailed,
    SerializationConflict,
    UniqueConflict,
)
from mainstay.model.soft_deletion import DELETED_AT
from mainstay.model.structs import STANDARD_FIELDS, Entity
from mainstay.model.values import UNASSIGNED
from mainstay.ports.indexing import add_words, replace_words
from mainstay.ports.rows import Change, Merge, Query, Rows, unique_conflict
from mainstay.ports.selection import plain
from mainstay.ports.substitution import after_change
from mainstay.ports.uniqueness import Uniqueness, uniqueness
from mainstay.ports.unit_of_work import EntityPlan, UnitOfWork
from mainstay.ports.writing import check_references, prepared

E = TypeVar("E", bound=Entity)

_PORTION = 500


class Upserted(msgspec.Struct, Generic[E], frozen=True):
    """What came of an upsert: the row as it is stored now, and whether it was added, else changed."""

    row: E
    created: bool


async def upsert(
    unit: UnitOfWork, plan: EntityPlan, rows: Sequence[Any], on: str, change: Sequence[str] | None, *, many: bool
) -> list[Upserted[Any]]:
    """Add each row, or change the one that has its value of the unique field ``on``; ``change`` names what changes.

    Raises what ``Repository.upsert`` says. With ``many`` the pointers of faults begin with the index of the row.
    """
    unit.altering(plan)
    named = _changed_fields(plan, on, change)
    unique = uniqueness(plan.shape)
    made = [_made(unit, plan, row, f"/{index}" if many else "") for index, row in enumerate(rows)]
    _refuse_twice(plan, unique, made, on)
    await check_references(unit, plan, made)
    merges = (_merge(unit, plan, given, row, on, named) for given, row in zip(rows, made, strict=True))
    stored = unit.transaction().rows(plan.shape.type)
    merged: list[Any] = []
    # What is unique within a tenant, or of rows that are not deleted, what is written down, and what is encrypted for
    # its row, is looked for first.
    plainly = unique.within is None and unique.unless is None and plan.trail is None and not plan.encrypted
    native = plainly and unit.frame.store.capabilities.merges
    for merge in _portions(merges):
        found = await (stored.merge(merge) if native else _looked(unit, stored, plan, unique, merge))
        for row, result in zip(merge.rows, found, strict=True):
            if result is None:
                raise await _refusal(unit, plan, merge, row, f"/{len(merged)}" if many else "")
            merged.append(result)
            if result.version == 1:
                add_words(unit, plan, (result,), plan.searchable)
            else:
                replace_words(unit, plan, (result.id,), {name: getattr(row, name) for name in merge.changes})
            if result.version > 1 and unit.conditional(result.id):
                unit.met(result.id)
    return [Upserted(row, row.version == 1) for row in merged]  # who changes a row raises its version


def _changed_fields(plan: EntityPlan, on: str, change: Sequence[str] | None) -> tuple[str, ...]:
    """Return the fields that a row may have changed. Raises ``TypeError`` for what is none, or not unique."""
    name, attribute = plan.shape.name, plan.shape.by_name.get(on)
    if attribute is None or not (attribute.spec.unique or on == "id"):
        raise TypeError(f"upsert(on={on!r}): {name} has no unique field of this name")
    set_apart = {*STANDARD_FIELDS, on, *([] if plan.tenancy is None else [plan.tenancy.field])}
    if plan.soft_delete:
        set_apart.add(DELETED_AT)
    own = [a.name for a in plan.shape.attributes if a.name not in set_apart]
    if change is None:
        return tuple(own)
    for each in change:
        if each not in own:
            raise TypeError(f"upsert(change=...): {each!r} is no field of {name} that it can change")
    return tuple(dict.fromkeys(change))


def _made(unit: UnitOfWork, plan: EntityPlan, row: Any, pointer: str) -> Any:
    for relation in plan.shape.relations:
        if getattr(row, relation.name) is not msgspec.UNSET:
            raise TypeError(f"upsert: {plan.shape.name}.{relation.name} holds rows: add or change them by themselves")
    return prepared(unit, plan, row, pointer)


def _value(unique: Uniqueness, row: Any, on: str) -> Any:
    """Return what no two rows have: an id, or a value of a unique field within what it is unique in; None for none."""
    value = row.id if on == "id" else unique.value(row, on)
    return tuple(map(plain, value)) if isinstance(value, tuple) else plain(value)


def _refuse_twice(plan: EntityPlan, unique: Uniqueness, rows: Sequence[Any], on: str) -> None:
    """Refuse two rows of one value: which of them is to be stored?"""
    seen: set[Any] = set()
    faults = []
    for index, row in enumerate(rows):
        value = _value(unique, row, on)
        if value is not None and value in seen:
            faults.append(Fault("repeated", f"is that of an earlier {plan.shape.name}", pointer=f"/{index}/{on}"))
        seen.add(value)
    if faults:
        raise Invalid(faults=faults)


def _merge(unit: UnitOfWork, plan: EntityPlan, given: Any, row: Any, on: str, named: tuple[str, ...]) -> Merge[Any]:
    """Return the merge of one row: what another one that is there gets of it, and what must be true of that one.

    An owner that was left to be set from the caller is that of a new row: one that is there keeps its own.
    """
    unassigned = {owner for owner in plan.owners if getattr(given, owner) in (UNASSIGNED, None)}
    told = [name for name in named if name not in unassigned]
    kept = tuple(name for name in told if plan.shape.by_name[name].spec.immutable)
    changes = (*(name for name in told if name not in kept), "updated_at")
    reach = unit.reach(plan)
    after = after_change(reach, {name: getattr(row, name) for name in (*changes, *kept, on)})
    where = reach if after == reach else reach & after
    frame = unit.frame
    if frame.if_match and frame.named:
        where = where & (~Among("id", tuple(sorted(frame.named))) | Among("version", frame.if_match))
    return Merge(rows=(row,), on=on, changes=changes, kept=kept, where=where)


def _portions(merges: Iterator[Merge[Any]]) -> Iterator[Merge[Any]]:
    """Put merges that differ in their rows only together, up to as many as go into one statement."""
    for alike, group in groupby(merges, key=lambda merge: msgspec.structs.replace(merge, rows=())):
        rows = [row for merge in group for row in merge.rows]
        for start in range(0, len(rows), _PORTION):
            yield msgspec.structs.replace(alike, rows=tuple(rows[start : start + _PORTION]))


async def _looked(
    unit: UnitOfWork, stored: Rows[Any], plan: EntityPlan, unique: Uniqueness, merge: Merge[Any]
) -> list[Any]:
    """Merge rows by looking for them first, where it cannot be done in one statement.

    Whoever adds such a row between is met at the flush: the command is then run again, and finds it.
    """
    on = merge.on
    there = {_value(unique, row, on): row for row in await _there(stored, unique, merge)}
    merged: list[Any] = []
    for row in merge.rows:
        value = _value(unique, row, on)
        old = None if value is None else there.get(value)
        if old is None:
            stored.insert([row])
            merged.append(row)
        elif holds(merge.where, old) and not _unlike(merge, old, row):
            changes = {name: getattr(row, name) for name in merge.changes} | {"version": old.version + 1}
            where = Compare("id", "eq", old.id)
            change = Change(where=where, changes=changes, id=old.id, version=old.version, expected=1, before=old)
            stored.enqueue(change)
            merged.append(msgspec.structs.replace(old, **changes))
        else:
            merged.append(None)
    try:
        await unit.flush()
    except UniqueConflict as conflict:
        if conflict.members.get("field") != on:
            raise
        raise SerializationConflict(f"another call has added this {plan.shape.name} meanwhile") from conflict
    return merged


async def _there(stored: Rows[Any], unique: Uniqueness, merge: Merge[Any]) -> list[Any]:
    """Return the rows that have the values of a merge, of the tenants that it is of."""
    values = tuple(value for row in merge.rows if (value := getattr(row, merge.on)) is not None)
    if not values:
        return []
    where: Condition = Among(merge.on, values)
    if merge.on != "id" and unique.within is not None:
        where = where & Among(unique.within, tuple({getattr(row, unique.within) for row in merge.rows}))
    if merge.on != "id" and unique.unless is not None:
        where = where & Compare(unique.unless, "eq", None)
    return await stored.fetch(Query(where=where, lock=True))


def _unlike(merge: Merge[Any], old: Any, row: Any) -> list[str]:
    """Return the fields that are set once, and of another value in the row that is there."""
    return [name for name in merge.kept if getattr(old, name) != getattr(row, name)]


async def _refusal(
    unit: UnitOfWork, plan: EntityPlan, merge: Merge[Any], row: Any, pointer: str
) -> Conflict | Forbidden | Invalid | PreconditionFailed:
    """Return why the row that is there was not changed. One that the caller may not see is told as ``add`` does."""
    name, reach = plan.shape.name, unit.reach(plan)
    own: Condition = Compare(merge.on, "eq", getattr(row, merge.on))
    found = await unit.transaction().rows(plan.shape.type).fetch(Query(where=own & reach, limit=1))
    if not found:
        return unique_conflict(name, merge.on)
    old = found[0]
    unlike = _unlike(merge, old, row)
    if unlike:
        detail = "is set once and cannot be changed"
        return Invalid(faults=[Fault("immutable", detail, pointer=f"{pointer}/{each}") for each in unlike])
    allowed = unit.conditional(old.id)
    if allowed and old.version not in allowed:
        return PreconditionFailed(f"the {name} is of another version")
    return Forbidden(f"the change would take the {name} out of the caller's reach")
