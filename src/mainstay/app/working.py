"""Working on events apart from the API: one process, its loop, and the admin door alone."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence

from mainstay.app.assembly import Application
from mainstay.app.collecting import settled
from mainstay.app.doors import make_doors
from mainstay.app.leaving import Stop, leave
from mainstay.app.migrating import migrations_of
from mainstay.app.observing import Observing
from mainstay.inbound.http.server import HttpServer
from mainstay.ports.observer import Notice


async def work(
    application: Application, observing: Observing, admin: socket.socket | None, *, on_ready: Callable[[], None]
) -> int:
    """Work on events until SIGTERM or SIGINT. Returns the exit code. ``admin`` is the admin door's socket.

    Consumers end what they are at, and the partitions are given back, so that another worker goes on at once.
    """
    stop = Stop()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.now)  # nobody is to be led elsewhere first
    loop.add_signal_handler(signal.SIGINT, stop.now)
    migrations = migrations_of(application.settings, application.bound.tables)
    if migrations is not None:
        await asyncio.to_thread(migrations.check)
    observing.listen(application.settings)
    await application.start(work=True)
    try:
        observing.watch(application)
        with settled():
            await _until(stop, application, observing, [] if admin is None else [admin], on_ready)
    finally:
        await application.stop()
        observing.close()
    return 0


async def _until(
    stop: Stop,
    application: Application,
    observing: Observing,
    sockets: Sequence[socket.socket],
    on_ready: Callable[[], None],
) -> None:
    doors = make_doors(application, observing=observing, siblings=None, documents={})
    opened = [doors.admin] if doors.admin is not None and sockets else []
    servers = [HttpServer(door, application.ports.clock) for door in opened]
    copies = [one.dup() for one in sockets]
    try:
        for server, one in zip(servers, sockets, strict=True):
            await server.start([one])
        on_ready()
        await stop.wanted.wait()
    finally:
        if not await leave(application, opened, servers, copies, stop):
            text = "calls of the admin door did not end in time and were cut off"
            application.ports.observer.observe(Notice("warning", "cut_off", text))
