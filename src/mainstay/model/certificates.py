"""The policy of client certificates: which machines may, by the names in their certificates (mutual TLS)."""

from __future__ import annotations

from mainstay.model.policy import CallPolicy, Policy
from mainstay.model.principal import Principal

_BELOW = "/*"
_LABEL = "*."


class Certificate(CallPolicy, frozen=True):
    """A caller whose connection was made with a certificate of one of the names."""

    names: frozenset[str]

    def allows(self, who: Principal) -> bool:
        name = who.certificate
        return who.is_system or (name is not None and any(_fits(name, pattern) for pattern in self.names))

    def __repr__(self) -> str:
        return f"certificate({', '.join(map(repr, sorted(self.names)))})"


def certificate(*names: str) -> Policy:
    """Allow a caller whose connection was made with a client certificate of one of the names.

    A name is compared whole: ``spiffe://shop.example/billing``. At the end of a SPIFFE ID ``/*`` stands for all paths
    below, ``*.`` before a host for one label, as in ``*.shop.internal``. Raises ``ValueError`` for a star elsewhere.
    """
    if not names:
        raise ValueError("certificate: name the machines that may")
    for name in names:
        if "*" in name.removesuffix(_BELOW).removeprefix(_LABEL) or not name.strip("*./"):
            raise ValueError(f"certificate: {name!r}: a star stands at the end, after /, or before the first dot")
        if name.endswith(_BELOW) and not name.startswith("spiffe://"):
            raise ValueError(f"certificate: {name!r}: only SPIFFE IDs (spiffe://domain/path) have paths")
    return Certificate(frozenset(names))


def _fits(name: str, pattern: str) -> bool:
    if pattern.endswith(_BELOW):
        return name.startswith(pattern[:-1]) and len(name) >= len(pattern)
    if pattern.startswith(_LABEL):
        label, dot, rest = name.partition(".")
        return bool(label and dot) and rest == pattern.removeprefix(_LABEL)
    return name == pattern
