"""The loop around a step: what a worker does again and again until it is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mainstay.ports.observer import Notice, Observer


class Loop:
    """Runs steps until it is stopped, each at once while there is more, else when it is woken or after a pause."""

    def __init__(
        self, name: str, step: Callable[[], Awaitable[bool]], observer: Observer, pause: Callable[[], float]
    ) -> None:
        self._name = name
        self._step = step
        self._observer = observer
        self._pause = pause
        self._woken = asyncio.Event()
        self._failing = False
        self.stopping: bool = False

    def wake(self) -> None:
        """Say that there is something to do."""
        self._woken.set()

    def stop(self) -> None:
        """Ask the loop to end after the step that it is at."""
        self.stopping = True
        self._woken.set()

    async def run(self) -> None:
        """Run until stopped."""
        while not self.stopping:
            self._woken.clear()
            if not await self._try() and not self.stopping:
                await self._wait()

    async def _try(self) -> bool:
        try:
            more = await self._step()
        except Exception as error:
            # Whatever it was (a full disk, a locked file), what is stored is not lost: it is tried again.
            if not self._failing:
                self._failing = True
                text = "events cannot be worked on now; trying again"
                self._observer.observe(Notice("error", f"{self._name}_waits", text, {}, error))
            return False
        self._failing = False
        return more

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._pause()):
                await self._woken.wait()
        except TimeoutError:
            return
