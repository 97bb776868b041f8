"""The lifespan of a mounted application: started and stopped with the service (ASGI lifespan protocol 2.0)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from mainstay.inbound.http.mounts import Message, Mount
from mainstay.ports.observer import Notice, Observer

START_SECONDS = 60.0
STOP_SECONDS = 10.0
"""How long an application may take to start, and to stop. Its requests have as long to end before that."""


class MountFailed(Exception):
    """A mounted application did not start."""


class _Lifespan:
    """One application's life, in a Task of its own, as the protocol has it."""

    def __init__(self, mount: Mount, observer: Observer) -> None:
        self._mount = mount
        self._observer = observer
        self._events: asyncio.Queue[str] = asyncio.Queue()
        self._said: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._supported = False

    async def start(self) -> None:
        """Start it. An application that knows no lifespan is served without one. Raises ``MountFailed``."""
        state: dict[str, Any] = {}
        self._mount.state = state
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
        self._task = asyncio.create_task(self._run(scope), name=f"mainstay-{self._mount.bound.name}")
        event, message = await self._ask("startup", START_SECONDS)
        if event == "startup.complete":
            self._supported = True
        elif event == "startup.failed":
            facts = {"mount": self._mount.bound.name, "why": message}
            self._observer.observe(Notice("error", "mount_not_started", "a mounted application did not start", facts))
            last = message.strip().splitlines()[-1:] or ["it does not say why"]  # the rest is a traceback
            raise MountFailed(f"{self._mount.bound.name} did not start: {last[0]}")
        elif event == "late":
            self._task.cancel()
            raise MountFailed(f"{self._mount.bound.name} did not start within {START_SECONDS:g} s")
        else:
            facts = {"mount": self._mount.bound.name}
            self._observer.observe(
                Notice("info", "mount_without_lifespan", "a mounted application has no lifespan", facts)
            )

    async def _run(self, scope: dict[str, Any]) -> None:
        try:
            await self._mount.app(scope, self._receive, self._send)
        except Exception as error:
            self._said.put_nowait(("ended", f"{type(error).__name__}: {error}"))
        else:
            self._said.put_nowait(("ended", ""))

    async def _receive(self) -> Message:
        return {"type": f"lifespan.{await self._events.get()}"}

    async def _send(self, message: Message) -> None:
        self._said.put_nowait((message["type"].removeprefix("lifespan."), str(message.get("message", ""))))

    async def _ask(self, event: str, seconds: float) -> tuple[str, str]:
        self._events.put_nowait(event)
        try:
            return await asyncio.wait_for(self._said.get(), seconds)
        except TimeoutError:
            return "late", ""

    async def stop(self) -> None:
        """Let its requests end, then stop it. What goes wrong is told."""
        mount = self._mount
        if mount.visits:
            _, left = await asyncio.wait(tuple(mount.visits), timeout=STOP_SECONDS)
            for one in left:
                one.cancel()
        if self._supported:
            event, message = await self._ask("shutdown", STOP_SECONDS)
            if event != "shutdown.complete":
                facts = {"mount": mount.bound.name, "how": event, "why": message}
                self._observer.observe(
                    Notice("error", "mount_not_stopped", "a mounted application did not stop as it should", facts)
                )
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=1)


@asynccontextmanager
async def living(mounts: Sequence[Mount], observer: Observer) -> AsyncIterator[None]:
    """Start the mounted applications in order, and stop them in reverse when the block ends.

    Raises ``MountFailed``; those that had started are stopped then.
    """
    async with AsyncExitStack() as stack:
        for mount in mounts:
            life = _Lifespan(mount, observer)
            stack.push_async_callback(life.stop)
            await life.start()
        yield
