"""What a caller has to bring for an operation, as the contract tells it: a token, a client certificate, or both."""

from __future__ import annotations

from mainstay.model.certificates import Certificate
from mainstay.model.policy import Anyone, Both, Either, Policy

Need = dict[str, list[str]]
"""Names of security schemes, all of which are needed (OpenAPI 3.1, Security Requirement Object)."""


def needs_of(policy: Policy) -> list[Need]:
    """Return the alternatives, the first of which is the least; a negation needs what says who calls: a token."""
    match policy:
        case Anyone():
            return [{}, {"bearer": []}]
        case Certificate():
            return [{"mutualTLS": []}]
        case Both(left, right):
            found = [{**one, **other} for one in needs_of(left) for other in needs_of(right)]
        case Either(left, right):
            found = [*needs_of(left), *needs_of(right)]
        case _:
            return [{"bearer": []}]
    return sorted({tuple(sorted(one)): one for one in found}.values(), key=lambda one: (len(one), sorted(one)))
