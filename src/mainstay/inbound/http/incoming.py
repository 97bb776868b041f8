"""The body of a request as a mounted application receives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import cast

from mainstay.inbound.http.body import Inflow
from mainstay.inbound.http.mounts import Message
from mainstay.model.problem import Problem


class Incoming:
    """The ``receive`` of one request: its body as it arrives, then its end, then that the client has left.

    It reads no faster than the application asks. ``gone`` is set when the client has left or its answer is complete;
    ``fail`` is told why a body cannot be had.
    """

    def __init__(self, inflow: Inflow | None, gone: asyncio.Event, fail: Callable[[Problem], None]) -> None:
        self._inflow = inflow
        self._gone = gone
        self._fail = fail
        self._ended = False

    async def receive(self) -> Message:
        """Return the next event. To cancel it loses nothing."""
        inflow = self._inflow
        if self._ended or self._gone.is_set():
            await self._gone.wait()
            return {"type": "http.disconnect"}
        part = None
        try:
            if inflow is not None:
                part = await self._next(inflow)
        except Problem as problem:
            self._fail(problem)
            return {"type": "http.disconnect"}
        if part is not None:
            return {"type": "http.request", "body": part, "more_body": True}
        if inflow is not None and not inflow.keep:
            return {"type": "http.disconnect"}  # it was let go of behind an early answer: this is not its end
        self._ended = True
        return {"type": "http.request", "body": b"", "more_body": False}

    @staticmethod
    async def _next(inflow: Inflow) -> bytes | None:
        parts = cast("AsyncGenerator[bytes, None]", inflow.parts())  # anew: one that was cancelled gives no more
        try:
            return await anext(parts, None)
        finally:
            await parts.aclose()
