"""Serving: one process, its event loop, its doors, and an end that fails no request."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from mainstay.adapters.observe.metrics import departed
from mainstay.app.assembly import Application
from mainstay.app.certificates import Certificates, renewed
from mainstay.app.collecting import settled
from mainstay.app.doors import Doors, documents_for, make_doors
from mainstay.app.leaving import Stop, leave
from mainstay.app.migrating import migrations_of
from mainstay.app.observing import Observing
from mainstay.app.registry import find
from mainstay.app.seeding import seed
from mainstay.app.servers.contract import Facing, Server
from mainstay.app.siblings import Siblings
from mainstay.app.tls import tls_files
from mainstay.inbound.http.server import HttpServer
from mainstay.ports.observer import Notice


class Listening(msgspec.Struct, frozen=True):
    """The sockets of one process. ``kept``: somebody else keeps them open, and whoever follows takes their queues."""

    main: socket.socket
    admin: socket.socket | None = None
    kept: bool = False


SWITCH = 0.0001
"""Seconds after which a thread that computes lets another one go on.

The loop lets go of the interpreter around each statement of an embedded database. Python's own 5 ms are then lost each
time to a thread that turns a long read's rows into objects: a command of forty statements was seen to hold the loop up
for 200 ms (ADR 0097).
"""


def run_loop(main: Coroutine[Any, Any, int]) -> int:
    """Run a coroutine on a new event loop of the fast kind, to which the other threads of the process give way."""
    import uvloop

    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main)
    finally:
        sys.setswitchinterval(before)


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
    tls = _certificates(application)
    observing.certificates = tls
    stop = Stop()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.gently)
    loop.add_signal_handler(signal.SIGINT, stop.now)
    on_loop(stop)
    siblings = _siblings(application, observing)
    doors = make_doors(application, observing=observing, siblings=siblings, documents=documents_for(application))
    migrations = migrations_of(application.settings, application.bound.tables)
    if migrations is not None:
        await asyncio.to_thread(migrations.check)
    observing.listen(application.settings)
    async with application:
        observing.watch(application)
        if fresh and not application.ports.store.capabilities.durable:
            await seed(application.bound, (application.settings.profile, "demo"))
        if siblings is not None:
            await siblings.start()
        with settled():
            async with renewed(tls):
                clean = await _take_calls(application, doors, listening, tls, on_ready=on_ready, stop=stop)
        if siblings is not None:
            await siblings.stop()
    if not clean:
        text = "calls in flight did not end in time and were cut off"
        application.ports.observer.observe(Notice("warning", "cut_off", text))
    observing.close()
    return 0


def _certificates(application: Application) -> Certificates | None:
    """Return what the door speaks TLS with. Raises ``SettingsRefused`` for files that are not right."""
    files = tls_files(application.settings)
    if files is None:
        return None
    ports, first = application.ports, application.place.index == 0
    return Certificates(application.settings, files, ports.clock, ports.observer, tells=first)


def _siblings(application: Application, observing: Observing) -> Siblings | None:
    place = application.place
    if place.run is None:
        return None
    return Siblings(place.run, place.index, observing.metrics.snapshot, departed)


async def _take_calls(
    application: Application,
    doors: Doors,
    listening: Listening,
    tls: Certificates | None,
    *,
    on_ready: Callable[[], None],
    stop: Stop,
) -> bool:
    """Take calls until told to stop. Returns whether everything in flight came to its end.

    However it ends, the doors are closed before the application is: a call must not meet a store that is gone.
    """
    settings, ports = application.settings, application.ports
    servers: list[Server] = []
    opened = [door for door in (doors.main, doors.admin) if door is not None]
    sockets = [one for one in (listening.main, listening.admin) if one is not None]
    copies = [] if listening.kept else [one.dup() for one in sockets]
    try:
        make = find("server", settings.http.server)
        servers.append(make(Facing(doors.main, ports.clock, ports.observer, settings, tls)))
        if doors.admin is not None and listening.admin is not None:
            servers.append(HttpServer(doors.admin, ports.clock))
        for server, one in zip(servers, sockets, strict=True):
            await server.start([one])
        on_ready()
        await stop.wanted.wait()
    finally:
        clean = await leave(application, opened, servers, copies, stop)
    return clean
