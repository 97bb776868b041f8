"""Explaining: what a caller may do by an operation, on which rows, and why."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import msgspec

from mainstay.app.authorising.subjects import allowed_by, masks_of, plans_of, rows_by, shapes_of
from mainstay.app.authorising.verdicts import Verdict, Why, whole, why
from mainstay.app.explaining.finding import find_operation
from mainstay.app.refusal import Refusal
from mainstay.kernel.bind import Bound
from mainstay.model.operation import OperationKind
from mainstay.model.policy import Policy
from mainstay.model.principal import Principal
from mainstay.model.schema import Shape
from mainstay.ports.unit_of_work import EntityPlan

UNLOADED = 'a call would load attributes of the caller, and none are given: {"attributes": {...}} in its JSON'


class Rows(msgspec.Struct, kw_only=True, frozen=True):
    """What a caller sees of the rows of an entity: none, all, or those of a condition."""

    entity: str
    table: str
    why: Why


class Field(msgspec.Struct, kw_only=True, frozen=True):
    """What a caller may do with a field that has policies of its own; None: whoever has the row."""

    field: str
    read: Why | None
    write: Why | None


class Explanation(msgspec.Struct, kw_only=True, frozen=True):
    """The verdict on one caller and one operation."""

    operation: str
    route: str
    caller: str
    verdict: Verdict
    reason: str
    allow: Why
    rows: list[Rows]
    fields: list[Field]
    note: str | None = None


def explain(bound: Bound, who: Principal, operation: str, row: Mapping[str, Any] | None = None) -> Explanation:
    """Return what a caller may do by an operation, named or by its route; ``row`` are the fields of one row, by name.

    Raises ``Refusal`` for an operation that is not there, and for a row that is none of its entity.
    """
    named = find_operation(bound, operation).operation
    caller = whole(who, bound.service, bound.ports.clock)
    plans = plans_of(bound, named)
    one = None if row is None else _row(plans, row)
    target = plans[0] if plans else None
    allow = why(allowed_by(bound, named), caller, one)
    rows = [
        Rows(entity=plan.shape.name, table=plan.table, why=why(rows_by(plan), caller, _of(plan, target, one)))
        for plan in plans
    ]
    fields = [field for shape in shapes_of(bound, named) for field in _fields(shape, caller, target, one)]
    verdict, reason = _concluded(allow, rows, consumer=named.operation.kind is OperationKind.CONSUMER)
    return Explanation(
        operation=f"{named.operation.module}.{named.name}",
        route=f"{named.operation.method} {named.operation.path}".strip() or "EVENT",
        caller=_named(caller),
        verdict=verdict,
        reason=reason,
        allow=allow,
        rows=rows,
        fields=fields,
        note=UNLOADED if bound.service.attribute_source is not None and not caller.attributes else None,
    )


def _of(plan: EntityPlan, target: EntityPlan | None, row: Any) -> Any:
    """Return the row for the plan that it is of."""
    return row if plan is target else None


def _row(plans: list[EntityPlan], given: Mapping[str, Any]) -> Any:
    """Return a row of the operation's own entity; fields that are not given are null, or have their default."""
    if not plans:
        raise Refusal("a row was given, and the operation works on no entity")
    shape = plans[0].shape
    unknown = sorted(set(given) - set(shape.by_name))
    if unknown:
        raise Refusal(f"{shape.name} has no field {unknown[0]}", f"its fields: {', '.join(shape.by_name)}")
    held: dict[str, Any] = {attribute.name: None for attribute in shape.attributes}
    for name, value in given.items():
        try:
            held[name] = None if value is None else msgspec.convert(value, shape.by_name[name].base, strict=False)
        except msgspec.ValidationError as error:
            raise Refusal(f"{shape.name}.{name}: {error}") from None
    return SimpleNamespace(**held)


def _fields(shape: Shape, who: Principal, target: EntityPlan | None, row: Any) -> list[Field]:
    one = row if target is not None and shape is target.shape else None

    def said(policy: Policy | None) -> Why | None:
        return None if policy is None else why(policy, who, one)

    return [
        Field(field=f"{shape.name}.{name}", read=said(read), write=said(write)) for name, read, write in masks_of(shape)
    ]


def _concluded(allow: Why, rows: list[Rows], *, consumer: bool) -> tuple[Verdict, str]:
    if consumer:
        return "yes", "a consumer runs as whoever its event came from: only the rows are a matter of policy"
    if allow.verdict == "no":
        return "no", "allow= refuses the caller"
    first = rows[0] if rows else None
    if first is not None and first.why.verdict == "no":
        return "no", f"the caller sees no such row of {first.entity}: it is answered as if there were none"
    if allow.verdict == "rows" or (first is not None and first.why.verdict == "rows"):
        return "rows", "allowed, for the rows that the conditions below name"
    return "yes", "allowed"


def _named(who: Principal) -> str:
    if who.is_system or not who.authenticated:
        return "the service itself" if who.is_system else "nobody known"
    parts = [
        f"roles {', '.join(sorted(who.roles))}" if who.roles else "",
        f"scopes {', '.join(sorted(who.scopes))}" if who.scopes else "",
        f"tenant {who.tenant}" if who.tenant else "",
        f"acted for by {who.actor.subject or who.actor.id}" if who.actor is not None else "",
    ]
    more = "; ".join(filter(None, parts))
    return f"{who.subject or who.id}{f' ({more})' if more else ''}"
