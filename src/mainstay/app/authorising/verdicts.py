"""Verdicts: what a policy says of a caller, part by part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec.structs import replace

from mainstay.adapters.observe.statements.words import condition_words
from mainstay.model.circumstances import Circumstances
from mainstay.model.conditions import FALSE, TRUE, Condition, holds
from mainstay.model.policy import Both, Either, Inverse, Policy
from mainstay.model.principal import Principal
from mainstay.model.roles import roles_of
from mainstay.model.service import Service
from mainstay.ports.clock import Clock

Verdict = Literal["yes", "no", "rows"]
"""Allowed, refused, or allowed for some rows."""


class Why(msgspec.Struct, kw_only=True, frozen=True):
    """The verdict of one part of a policy, with those of the parts below it; ``where`` are the rows it allows."""

    part: str
    verdict: Verdict
    where: str | None = None
    below: tuple[Why, ...] = ()

    def lines(self, depth: int = 0) -> Iterator[tuple[int, Why]]:
        """Walk this part and all below it, each with how deep it stands."""
        yield depth, self
        for part in self.below:
            yield from part.lines(depth + 1)


def whole(who: Principal, service: Service, clock: Clock, *, door: str = "rest", address: str = "") -> Principal:
    """Return a caller as a call would have it: with the roles that its own bring along, and circumstances."""
    roles = who.roles if service.roles is None else roles_of(service.roles).expand(who.roles)
    circumstances = who.circumstances or Circumstances(at=clock.now(), protocol=door, address=address)
    return replace(who, roles=roles, circumstances=circumstances)


def why(policy: Policy, who: Principal, row: Any = None) -> Why:
    """Return what a prepared policy says of a caller: of one row where it is given, else of all."""
    condition = policy.reduce(who)
    verdict = verdict_of(condition, row)
    match policy:
        case Both(left, right) | Either(left, right):
            name = "all of" if isinstance(policy, Both) else "any of"
            below: tuple[Policy, ...] = (*_flat(policy, left), *_flat(policy, right))
        case Inverse(of):
            name, below = "not", (of,)
        case _:
            inner = getattr(policy, "policy", None)  # what stands for others: those of a Cedar file
            name, below = repr(policy), (inner,) if isinstance(inner, Policy) else ()
    return Why(
        part=name,
        verdict=verdict,
        where=None if condition in (TRUE, FALSE) else told(condition, who),
        below=tuple(why(part, who, row) for part in below),
    )


def _flat(policy: Policy, part: Policy) -> tuple[Policy, ...]:
    """Return a part, or its own parts where it is put together as the whole is."""
    if type(part) is type(policy) and isinstance(part, Both | Either):
        return *_flat(policy, part.left), *_flat(policy, part.right)
    return (part,)


def verdict_of(condition: Condition, row: Any = None) -> Verdict:
    """Return what a condition comes to."""
    if condition == TRUE:
        return "yes"
    if condition == FALSE:
        return "no"
    return "rows" if row is None else "yes" if holds(condition, row) else "no"


def told(condition: Condition, who: Principal) -> str:
    """Return a condition in words, the caller's own values by what they are."""

    def value(held: Any) -> str:
        if held == who.id:
            return "the caller's id"
        if isinstance(held, str | UUID) and str(held) == who.tenant:
            return "the caller's tenant"
        return str(msgspec.json.encode(held, enc_hook=str).decode())

    return condition_words(condition, value)
