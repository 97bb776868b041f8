"""Whether the caller of a stream still may have it: asked anew while the stream runs, and of each row that it gives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from mainstay.kernel.call import Call
from mainstay.model.conditions import TRUE, holds
from mainstay.model.problem import Problem
from mainstay.ports.observer import Notice
from mainstay.ports.unit_of_work import UnitOfWork

SECONDS = 1.0
"""How long a verdict on the caller of a stream is good for."""

MAX_ITEMS = 1000
"""After how many items the caller is judged again, if less time than that has passed."""


class Judged(AsyncIterator[Any]):
    """The items of a stream that its caller may have.

    Behind the first item after a second the caller is judged anew, before that item is shown: credentials that have
    ended, a role that was taken away, a time that is over end the stream with a Problem. What the caller is then, the
    repositories of the stream go by from there. A row of an entity is shown where the row policy allows it, whoever
    brought it: the store that it was read from, or a feed that knows no policy.
    """

    __slots__ = ("_call", "_due", "_items", "_left", "_now", "_unit")

    def __init__(self, items: AsyncIterator[Any], call: Call, unit: UnitOfWork) -> None:
        self._items = items
        self._call = call
        self._unit = unit
        self._now = call.operation.ports.clock.monotonic
        self._due = self._now() + SECONDS
        self._left = MAX_ITEMS

    async def __anext__(self) -> Any:
        """Return the next item. Raises what the judgement of the caller raises."""
        while True:
            item = await anext(self._items)
            self._left -= 1
            if self._left <= 0 or self._now() >= self._due:
                await self._judge()
            if self._shown(item):
                return item

    def _shown(self, item: Any) -> bool:
        plan = self._unit.frame.plans.get(type(item))
        if plan is None:
            return True
        allowed = self._unit.reach(plan)
        return allowed is TRUE or holds(allowed, item)

    async def _judge(self) -> None:
        call = self._call
        try:
            for stage in call.operation.judging:
                waiting = stage(call)
                if waiting is not None:
                    await waiting
        except Problem as refusal:
            facts = {"operation": call.operation.name, "request_id": call.request_id, "code": refusal.code}
            text = "a stream was ended: its caller may have it no more, or cannot be judged"
            call.operation.ports.observer.observe(Notice("info", "stream_refused", text, facts))
            raise
        self._unit.go_on_for(call.principal)
        self._due = self._now() + SECONDS
        self._left = MAX_ITEMS

    async def aclose(self) -> None:
        """End the stream that the items come from."""
        closer = getattr(self._items, "aclose", None)
        if closer is not None:
            await closer()
