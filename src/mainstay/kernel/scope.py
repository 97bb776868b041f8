"""The scope of one run of a use case: what its dependencies are made from, and what it leaves to be committed."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import msgspec

from mainstay.kernel.call import Call
from mainstay.model.structs import Event
from mainstay.ports.unit_of_work import UnitOfWork


class Emitted(msgspec.Struct, frozen=True):
    """An event with its ordering key."""

    event: Event
    key: str | None


class Scope:
    """One run: the call, its unit of work, the events emitted, and what to clean up at its end."""

    __slots__ = ("call", "emitted", "made", "stack", "unit")

    def __init__(self, call: Call, unit: UnitOfWork) -> None:
        self.call = call
        self.unit = unit
        self.emitted: list[Emitted] = []
        self.made: dict[Any, Any] = {}
        self.stack: AsyncExitStack | None = None

    def emit(self, event: Event, key: str | None) -> None:
        """Take an event to be committed with the unit of work."""
        self.emitted.append(Emitted(event, key))

    async def close(self) -> None:
        """Clean up what call-scoped factories opened, last first."""
        if self.stack is not None:
            await self.stack.aclose()
