"""The scope of one run of a use case: what its dependencies are made from, and what it leaves to be committed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from mainstay.kernel.call import Call, Reply
from mainstay.model.structs import Event
from mainstay.ports.answering import Answering, Keep
from mainstay.ports.unit_of_work import UnitOfWork

_CONFIDED = Keep()


class Emitted(msgspec.Struct, frozen=True):
    """An event with its ordering key."""

    event: Event
    key: str | None


class Scope(Answering):
    """One run: the call, its unit of work, the events emitted, what is said of the answer, what to clean up at its end.

    ``stack`` unwinds when the run's outcome stands: after its commit, or after it was undone. ``stored`` are the rows
    of the outbox that were made of the events.
    """

    __slots__ = ("call", "emitted", "made", "said", "stack", "stored", "unit")

    def __init__(self, call: Call, unit: UnitOfWork) -> None:
        self.call = call
        self.unit = unit
        self.emitted: list[Emitted] = []
        self.stored: Sequence[Any] = ()
        self.made: dict[Any, Any] = {}
        self.stack: AsyncExitStack | None = None
        self.said: Keep | None = None

    def emit(self, event: Event, key: str | None) -> None:
        """Take an event to be committed with the unit of work."""
        self.emitted.append(Emitted(event, key))

    def confide(self) -> None:
        if self.said is None:
            self.said = _CONFIDED

    def keep(self, keep: Keep) -> None:
        self.said = keep

    def tell(self, reply: Reply) -> None:
        """Put what was said of the answer into it: whatever it is, there is a secret in it."""
        reply.secret = True
        reply.keep = None if self.said is _CONFIDED else self.said

    async def close(self) -> None:
        """Clean up what call-scoped factories opened, last first."""
        if self.stack is not None:
            await self.stack.aclose()
