"""Paths that every service serves of its own: the team's routes keep clear of them, whatever is shown to whom."""

from __future__ import annotations

from mainstay.kernel.bind import Bound
from mainstay.model.faults import StartupFault

PATHS = frozenset({"/health", "/ready", "/metrics", "/openapi.json", "/asyncapi.json", "/docs"})
_BELOW = "/docs/"


def is_reserved(path: str) -> bool:
    """Whether a path is one of the service's own."""
    return path in PATHS or path.startswith(_BELOW)


def note_reserved(bound: Bound) -> None:
    """Note a fault for each operation whose route is the service's own."""
    for one in bound.operations:
        operation = one.operation
        if operation.method == "GET" and is_reserved(operation.path):
            message = f"GET {operation.path} is served by every service of its own"
            bound.faults.append(StartupFault(operation.source, operation.name, message, "give it another path"))
