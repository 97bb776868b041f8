"""What a caller has to bring for an operation, as the contract tells it: a token, a client certificate, or both."""

from __future__ import annotations

from collections.abc import Sequence

from mainstay.model.certificates import Certificate
from mainstay.model.policy import Anyone, Both, Either, Policy

Need = dict[str, list[str]]
"""Names of security schemes, all of which are needed (OpenAPI 3.1, Security Requirement Object)."""


def needs_of(policy: Policy, known: Sequence[str] = ("bearer",)) -> list[Need]:
    """Return the alternatives, the first of which is the least; a negation needs what says who calls.

    ``known`` are the schemes that say so.
    """
    match policy:
        case Anyone():
            return [{}, *_each(known)]
        case Certificate():
            return [{"mutualTLS": []}]
        case Both(left, right):
            found = [{**one, **other} for one in needs_of(left, known) for other in needs_of(right, known)]
        case Either(left, right):
            found = [*needs_of(left, known), *needs_of(right, known)]
        case _:
            return _each(known)
    return sorted({tuple(sorted(one)): one for one in found}.values(), key=lambda one: (len(one), sorted(one)))


def _each(names: Sequence[str]) -> list[Need]:
    return [{name: []} for name in names]
