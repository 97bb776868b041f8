"""Events: what a command tells others, committed with what it did."""

from __future__ import annotations

from collections.abc import Callable

from mainstay.model.structs import Event


class Events:
    """What a use case emits. An event is stored with the rows of its call, and told after their commit or never."""

    __slots__ = ("_take",)

    def __init__(self, take: Callable[[Event, str | None], None]) -> None:
        self._take = take

    def emit(self, event: Event, *, key: str | None = None) -> None:
        """Emit an event. Those of one ``key`` are told in the order in which they were committed."""
        self._take(event, key)
