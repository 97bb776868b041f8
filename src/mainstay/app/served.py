"""Which operations have a route here: all of a service, or those of the one module that was asked for."""

from __future__ import annotations

from mainstay.kernel.bind import Bound
from mainstay.kernel.bound import BoundOperation


def served(bound: Bound) -> list[BoundOperation]:
    """Return the operations that doors serve and the contract describes."""
    only = bound.service.serves
    return [one for one in bound.operations if one.operation.method and only in (None, one.operation.module)]
