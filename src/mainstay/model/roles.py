"""Roles that bring others along: ``Service(..., roles={"manager": ["support"], "support": []})``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import msgspec

Declared = Mapping[str, Sequence[str]]
"""The roles of a service, each with those that it brings along."""


class Roles(msgspec.Struct, frozen=True):
    """For each role, itself and all that it brings along, at any depth."""

    brought: Mapping[str, frozenset[str]] = MappingProxyType({})

    def expand(self, roles: frozenset[str]) -> frozenset[str]:
        """Return the roles of a caller with those that they bring along. A role that is not declared brings none."""
        brought = self.brought
        wider = roles.union(*(brought[role] for role in roles if role in brought))
        return roles if len(wider) == len(roles) else wider


def roles_of(declared: Declared) -> Roles:
    """Return the roles of a service, closed under what they bring along. It is for those without faults."""
    return Roles(MappingProxyType({role: frozenset(_reached(declared, role)) for role in declared}))


def role_faults(declared: Declared) -> Iterator[str]:
    """Walk what is wrong with declared roles: names that are no roles, and roles that bring themselves along."""
    for role, brought in declared.items():
        if isinstance(brought, str):
            yield f"role {role!r} brings {brought!r} along: give a list of roles"
            continue
        for name in brought:
            if name not in declared:
                yield f"role {role!r} brings {name!r} along, which is not declared"
        chain = _cycle(declared, role)
        if chain and role == min(chain):  # told once, from the first of its roles
            yield f"roles bring themselves along: {' -> '.join((*chain, chain[0]))}"


def _reached(declared: Declared, role: str) -> Iterator[str]:
    seen, pending = {role}, [role]
    while pending:
        found = pending.pop()
        yield found
        new = [name for name in declared[found] if name not in seen]
        seen.update(new)
        pending += new


def _cycle(declared: Declared, role: str) -> tuple[str, ...]:
    """Return the shortest chain of roles by which one brings itself along, or nothing."""
    pending: list[tuple[str, ...]] = [(role,)]
    seen: set[str] = set()
    while pending:
        chain = pending.pop(0)
        for name in declared.get(chain[-1], ()):
            if name == role:
                return chain
            if name not in seen:
                seen.add(name)
                pending.append((*chain, name))
    return ()
