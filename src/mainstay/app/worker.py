"""A worker: a fresh interpreter that a supervisor started, told by its standard input what it is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path

import msgspec

from mainstay.app.assembly import Application, Place, assemble
from mainstay.app.complaint import MENDABLE, text
from mainstay.app.importing import import_service
from mainstay.app.leaving import Stop
from mainstay.app.observing import Observing, make_observing
from mainstay.app.seat import MAKE_ROOM, REFUSED, Spec
from mainstay.app.serving import Listening, run_loop, serve
from mainstay.app.settings import Settings, load

_GRACE = 4.0  # seconds beyond what draining may take


def main() -> int:
    """Serve as the supervisor says, and end when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until there is a loop to end gently, ending at once is right
    spec = msgspec.json.decode(_line(), type=Spec)
    for descriptor in (spec.listening, spec.status, *([spec.admin] if spec.admin is not None else [])):
        os.set_inheritable(descriptor, False)
    try:
        settings = load(Path(spec.directory), profile=spec.profile, flags=spec.flags)
        observing = make_observing(settings)
        service = import_service(settings, module=spec.module)
        application = assemble(service, settings, observer=observing.observer, place=Place(spec.index, Path(spec.run)))
        return run_loop(_serve(application, observing, spec))
    except MENDABLE as error:
        sys.stderr.write(text(error) or "")
    except Exception:
        traceback.print_exc()
    return REFUSED


async def _serve(application: Application, observing: Observing, spec: Spec) -> int:
    admin = None if spec.admin is None else _socket(spec.admin)
    listening = Listening(_socket(spec.listening), admin, kept=spec.kept)
    return await serve(
        application,
        observing,
        listening,
        on_ready=lambda: _tell_ready(spec.status),
        on_loop=lambda stop: _follow_supervisor(stop, application.settings),
        fresh=spec.fresh,
    )


def _socket(descriptor: int) -> socket.socket:
    """Return a socket that was handed over. All processes that have it share whether it blocks: it never may."""
    one = socket.socket(fileno=descriptor)
    one.setblocking(False)
    return one


def _line() -> bytes:
    """Read the one line of the standard input, and not a byte more: its end is waited for later."""
    read = bytearray()
    while not read.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            sys.exit(REFUSED)
        read += byte
    return bytes(read)


def _tell_ready(status: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # the supervisor has died meanwhile: the watch of it ends this worker
        os.write(status, b"+")


def _follow_supervisor(stop: Stop, settings: Settings) -> None:
    """Leave when the supervisor says so, and when it ends, however it ended: gently first, then for certain.

    A thread waits, so that a loop that is stuck is ended as well.
    """
    loop = asyncio.get_running_loop()
    patience = settings.http.drain_delay + settings.http.drain_seconds + _GRACE

    def wait() -> None:
        while told := os.read(0, 64):
            loop.call_soon_threadsafe(stop.hand_over)
            if MAKE_ROOM in told:
                loop.call_soon_threadsafe(stop.now)
        loop.call_soon_threadsafe(stop.gently)
        threading.Event().wait(patience)
        os._exit(1)

    threading.Thread(target=wait, name="mainstay-supervisor-watch", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
