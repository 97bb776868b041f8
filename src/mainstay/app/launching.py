"""Launching: the sockets first, then one process that serves, or a supervisor and its workers."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from mainstay.app.rundir import RunDirectory
from mainstay.app.seat import Seat, Spec
from mainstay.app.settings import Settings
from mainstay.app.sockets import inherited, listen
from mainstay.app.supervisor import Supervisor
from mainstay.app.watching import Watcher

Announce = Callable[[str, str | None], None]
"""Is told the URL of the service and of its admin address, when calls are taken."""


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """How a service is to be served, beside its settings. ``flags`` are those that its workers are to obey too.

    ``reload`` starts anew when files change; ``fresh`` puts the seeds into a store that forgets.
    """

    directory: str
    flags: Mapping[str, str | int | float | bool]
    module: str | None = None
    reload: bool = False
    fresh: bool = False


def launch(settings: Settings, wanted: Launch, announce: Announce) -> int:
    """Serve until told to stop, and return the exit code. Raises what ``assemble`` raises, and ``Refusal``."""
    http = settings.http
    kept = inherited(os.environ)
    main = listen(http.host, http.port, http.workers, backlog=http.backlog) if kept is None else _copies(kept, settings)
    admin: list[socket.socket] = []
    try:
        if settings.admin_open:
            admin = listen(settings.admin.host, settings.admin.port, http.workers)
        secure = bool(http.tls.certificate)
        said = _Announcement(announce, _url(main[0], secure=secure), _url(admin[0]) if admin else None)
        if http.workers == 1 and not wanted.reload and not settings.is_production:
            return _serve_alone(settings, wanted, main[0], admin[0] if admin else None, said, kept=kept is not None)
        return _supervise(settings, wanted, main, admin, said, kept=kept is not None)
    finally:
        for one in (*main, *admin):
            one.close()


class _Announcement:
    """Told once, however often workers come to be ready."""

    def __init__(self, announce: Announce, url: str, admin: str | None) -> None:
        self._announce = announce
        self._places = (url, admin)
        self._told = False

    def __call__(self) -> None:
        if not self._told:
            self._told = True
            self._announce(*self._places)


def _copies(kept: socket.socket, settings: Settings) -> list[socket.socket]:
    """Return a copy for each worker of the one socket that was handed over: they take turns at its queue."""
    with kept:
        return [kept.dup() for _ in range(settings.http.workers)]


def _serve_alone(
    settings: Settings,
    wanted: Launch,
    main: socket.socket,
    admin: socket.socket | None,
    announce: Callable[[], None],
    *,
    kept: bool,
) -> int:
    # Imported here: a supervisor has none of this in memory.
    from mainstay.app.assembly import assemble
    from mainstay.app.importing import import_service
    from mainstay.app.observing import make_observing
    from mainstay.app.serving import Listening, run_loop, serve

    observing = make_observing(settings)
    service = import_service(settings, module=wanted.module)
    application = assemble(service, settings, observer=observing.observer)
    return run_loop(serve(application, observing, Listening(main, admin, kept), on_ready=announce, fresh=wanted.fresh))


def _supervise(
    settings: Settings,
    wanted: Launch,
    main: list[socket.socket],
    admin: list[socket.socket],
    announce: Callable[[], None],
    *,
    kept: bool,
) -> int:
    from mainstay.adapters.local.clock import SystemClock
    from mainstay.app.logs import make_log

    log, sink = make_log(settings, SystemClock())
    run = RunDirectory()
    supervisor = Supervisor(
        [Seat(index, one, admin[index] if admin else None, kept=kept) for index, one in enumerate(main)],
        lambda seat, status: _spec(settings, wanted, run, seat, status),
        run,
        log,
        drain=(settings.http.drain_delay, settings.http.drain_seconds),
        changes=Watcher(_folders(settings)).changes if wanted.reload else None,
        chance=random.random,
        on_ready=announce,
    )
    try:
        return supervisor.run()
    finally:
        run.close()
        sink.close()


def _spec(settings: Settings, wanted: Launch, run: RunDirectory, seat: Seat, status: int) -> Spec:
    return Spec(
        index=seat.index,
        workers=settings.http.workers,
        run=str(run.path),
        listening=seat.listening.fileno(),
        admin=None if seat.admin is None else seat.admin.fileno(),
        status=status,
        directory=wanted.directory,
        profile=settings.profile,
        flags=dict(wanted.flags),
        module=wanted.module,
        fresh=wanted.fresh,
        kept=seat.kept,
    )


def _folders(settings: Settings) -> list[Path]:
    """Return the folders of the team's code, each once."""
    return list(dict.fromkeys((settings.root / folder).resolve() for folder in (".", *settings.path)))


def _url(listening: socket.socket, *, secure: bool = False) -> str:
    host, port = listening.getsockname()[:2]
    named = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"{'https' if secure else 'http'}://{named}:{port}"
