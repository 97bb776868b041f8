"""Serving: one process, its event loop, its doors, and an end that fails no request."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from mainstay.app.assembly import Application
from mainstay.app.collecting import settled
from mainstay.app.documents import documents_of
from mainstay.app.doors import Doors, make_doors
from mainstay.app.migrating import migrations_of
from mainstay.app.observing import Observing
from mainstay.app.seeding import seed
from mainstay.app.siblings import Siblings
from mainstay.inbound.http.server import HttpServer
from mainstay.ports.observer import Notice


class Listening(msgspec.Struct, frozen=True):
    """The sockets of one process."""

    main: socket.socket
    admin: socket.socket | None = None


class Stop:
    """The wish to end: gently, refusing readiness first, or at once."""

    def __init__(self) -> None:
        self.wanted: asyncio.Event = asyncio.Event()
        self.at_once: bool = False

    def gently(self) -> None:
        """End after the time of refusing readiness. A second wish is one for at once."""
        if self.wanted.is_set():
            self.at_once = True
        self.wanted.set()

    def now(self) -> None:
        """End when what is in flight has ended."""
        self.at_once = True
        self.wanted.set()


def run_loop(main: Coroutine[Any, Any, int]) -> int:
    """Run a coroutine on a new event loop of the fast kind."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


async def serve(
    application: Application,
    observing: Observing,
    listening: Listening,
    *,
    on_ready: Callable[[], None],
    on_loop: Callable[[Stop], None] = lambda _: None,
    fresh: bool = False,
) -> int:
    """Serve until SIGTERM (readiness is refused for a time first) or SIGINT (at once). Returns the exit code.

    ``on_loop`` is handed the means to stop from elsewhere, ``on_ready`` is called when calls are taken. ``fresh`` puts
    the seeds into a store that forgets.
    """
    stop = Stop()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.gently)
    loop.add_signal_handler(signal.SIGINT, stop.now)
    on_loop(stop)
    siblings = _siblings(application, observing)
    doors = make_doors(application, observing=observing, siblings=siblings, documents=documents_of(application.bound))
    migrations = migrations_of(application.settings, application.bound.tables)
    if migrations is not None:
        await asyncio.to_thread(migrations.check)
    async with application:
        observing.watch(application)
        if fresh and not application.ports.store.capabilities.durable:
            await seed(application.bound)
        if siblings is not None:
            await siblings.start()
        with settled():
            clean = await _take_calls(application, doors, listening, on_ready=on_ready, stop=stop)
        if siblings is not None:
            await siblings.stop()
    if not clean:
        text = "calls in flight did not end in time and were cut off"
        application.ports.observer.observe(Notice("warning", "cut_off", text))
    observing.close()
    return 0


def _siblings(application: Application, observing: Observing) -> Siblings | None:
    place = application.place
    if place.run is None:
        return None
    return Siblings(place.run, place.index, observing.metrics.snapshot)


async def _take_calls(
    application: Application, doors: Doors, listening: Listening, *, on_ready: Callable[[], None], stop: Stop
) -> bool:
    """Take calls until told to stop. Returns whether everything in flight came to its end.

    However it ends, the doors are closed before the application is: a call must not meet a store that is gone.
    """
    servers: list[HttpServer] = []
    try:
        for door, listener in ((doors.main, listening.main), (doors.admin, listening.admin)):
            if door is not None and listener is not None:
                servers.append(HttpServer(door, application.ports.clock))
                await servers[-1].start([listener])
        on_ready()
        await stop.wanted.wait()
    finally:
        application.stopping = True
        clean = await _close(doors, servers, at_once=stop.at_once or not stop.wanted.is_set())
    return clean


async def _close(doors: Doors, servers: list[HttpServer], *, at_once: bool) -> bool:
    """Drain all doors together. Returns whether everything in flight came to its end."""
    if at_once:
        for door in (doors.main, doors.admin):
            if door is not None:
                door.options = msgspec.structs.replace(door.options, drain_delay=0.0)
    return all(await asyncio.gather(*(server.stop() for server in servers)))
