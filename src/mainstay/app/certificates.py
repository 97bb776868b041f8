"""Certificates of a running server: looked at from time to time, and taken for new handshakes once they have changed.

A context of TLS cannot forget an authority or a key, so new files make a new one. The server keeps the context that it
began with and asks at the beginning of each handshake which is the present one: connections live on with what they were
made with, and no socket is opened anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime
from pathlib import Path

from mainstay.adapters.observe.metrics import Gauge
from mainstay.app.settings import Settings, SettingsRefused
from mainstay.app.tls import TlsFiles, context_of, tls_files
from mainstay.ports.clock import Clock
from mainstay.ports.observer import Notice, Observer

_DAY = 86_400.0
_HOUR = 3600.0  # between looks at the calendar where the files are not looked at

Mark = tuple[tuple[int, int, int] | None, ...]


class Certificates:
    """The files that are in use, and the context that a server is started with.

    ``tells`` says that this process is the one of a host to say that a certificate ends soon.
    """

    def __init__(
        self, settings: Settings, files: TlsFiles, clock: Clock, observer: Observer, *, tells: bool = True
    ) -> None:
        self.files = files
        self.context: ssl.SSLContext = context_of(files)
        self.context.sni_callback = self._choose
        self._current = self.context
        self._settings = settings
        self._clock = clock
        self._observer = observer
        self._tells = tells
        self._told: date | None = None
        self._taken = self._seen = self._refused = _mark(files.paths)

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:  # noqa: ARG002
        """Give a handshake the present context; it is called for clients that name no host, too."""
        connection.context = self._current

    async def watch(self) -> None:
        """Look at files and calendar until cancelled."""
        pause = self._settings.http.tls.watch_seconds
        while True:
            self.warn()
            await self._clock.sleep(pause or _HOUR)
            if pause:
                await self.look()

    async def look(self) -> None:
        """Take the files where they have changed, and have not since the last look: they may be half written.

        Those that are not right are told of once, and what was there before stays.
        """
        mark = _mark(self.files.paths)
        settled, self._seen = mark == self._seen, mark
        if not settled or mark in (self._taken, self._refused):
            return
        try:
            found = await asyncio.to_thread(self._read)
        except SettingsRefused as refusal:
            self._refuse(mark, "; ".join(f"{fault.key}: {fault.problem}" for fault in refusal.faults))
        except OSError as error:  # changed since they were checked
            self._refuse(mark, f"http.tls.certificate: it cannot be taken ({type(error).__name__})")
        else:
            self._take(mark, *found)

    def _read(self) -> tuple[TlsFiles, ssl.SSLContext]:
        files = tls_files(self._settings, self._clock.now())
        assert files is not None
        return files, context_of(files)

    def _take(self, mark: Mark, files: TlsFiles, context: ssl.SSLContext) -> None:
        self._taken, self.files = mark, files
        facts = {"expires": files.expires.isoformat()}
        if self._settings.http.server == "granian":
            text = "there are new files of TLS, which granian takes at a restart only: send SIGHUP"
            self._observer.observe(Notice("warning", "certificate_waits", text, facts))
            return
        self._current = context
        self._told = None
        self._observer.observe(Notice("info", "certificate_taken", "new handshakes are made with the new files", facts))

    def _refuse(self, mark: Mark, why: str) -> None:
        self._refused = mark
        text = f"the new files of TLS are not taken, those before stay: {why}"
        self._observer.observe(Notice("error", "certificate_refused", text))

    def warn(self) -> None:
        """Say once a day that the certificate ends soon."""
        now = self._clock.now()
        left = self._left(now)
        if not self._tells or self._told == now.date() or left >= self._settings.http.tls.warning_days:
            return
        self._told = now.date()
        text = f"the certificate ends on {self.files.expires:%Y-%m-%d %H:%M} UTC: renew it"
        self._observer.observe(Notice("warning", "certificate_ends", text, {"days": round(left, 1)}))

    def _left(self, now: datetime) -> float:
        """Return for how many days the certificate is good; below 0 it is not."""
        return (self.files.expires - now).total_seconds() / _DAY

    def gauge(self) -> Gauge:
        """Return how long the certificate is good, as the metrics have it."""
        words = "Days until the certificate of the HTTP door ends."
        return Gauge("mainstay_tls_certificate_days", words, self._left(self._clock.now()), "min")


@contextlib.asynccontextmanager
async def renewed(certificates: Certificates | None) -> AsyncIterator[None]:
    """Take new files of TLS, where there is any, for as long as the block lasts."""
    watching = None if certificates is None else asyncio.create_task(certificates.watch(), name="mainstay-certificates")
    try:
        yield
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.wait({watching})


def _mark(paths: Sequence[Path]) -> Mark:
    """Return by what it shows that a file is another one: its time, size and number, also behind a link."""
    return tuple(_mark_of(path) for path in paths)


def _mark_of(path: Path) -> tuple[int, int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino
