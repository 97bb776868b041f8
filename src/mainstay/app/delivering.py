"""Working on events: by a process that serves calls as well, or by one of its own (``mainstay worker``)."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from mainstay.kernel.flow.desk import EventDesk
from mainstay.kernel.flow.upkeep import Keeping
from mainstay.kernel.worker import EventWorker
from mainstay.ports.observer import Notice

if TYPE_CHECKING:
    from mainstay.app.assembly import Application


def make_worker(application: Application) -> EventWorker:
    """Return what works on the events of an application whose store is open, woken by the commits of its process."""
    settings, bound = application.settings.worker, application.bound
    holder = f"{socket.gethostname()}:{os.getpid()}:{bound.ports.ids.token()}"
    keeping = Keeping(timedelta(days=settings.keep_days), settings.keep_rows)
    worker = EventWorker(bound, holder, keeping, schemas=application.settings.contracts.url)
    worker.listen(bound)
    return worker


def make_desk(application: Application) -> EventDesk:
    """Return what whoever runs the service asks of its events, of an application whose store is open."""
    consumers = application.bound.consumers.values()
    return EventDesk(application.ports, [each.name for group in consumers for each in group])


def ring_others(application: Application) -> None:
    """Have the commits of a process that does not work on events wake those that do."""
    application.bound.bell.listen(lambda _stored: application.ports.store.ring())


@asynccontextmanager
async def delivering(application: Application) -> AsyncIterator[EventWorker]:
    """Work on events until the block ends. What was begun is ended, and others go on with the rest at once."""

    def failed(error: BaseException) -> None:
        text = "events are not worked on any more by this process; others take over when its leases end"
        application.ports.observer.observe(Notice("error", "worker_failed", text, {}, error))

    async with make_worker(application).running(failed) as worker:
        yield worker
