"""The broker of URLs that name a database: ``postgresql://``, ``mysql://``, ``mariadb://`` and ``sqlite://``."""

from __future__ import annotations

import msgspec

from mainstay.adapters.database.broker import DatabaseBroker
from mainstay.adapters.local.ids import SystemIds
from mainstay.app.database_urls import same_server
from mainstay.app.refusal import Refusal
from mainstay.app.settings import Settings
from mainstay.app.settings.model import Database
from mainstay.app.stores import make_store
from mainstay.ports.broker import Broker
from mainstay.ports.clock import Clock
from mainstay.ports.observer import Observer

CONNECTIONS = 4
"""To a database server, of each worker, for publishing and taking, and as many for looking."""


def broker(settings: Settings, clock: Clock, observer: Observer) -> Broker:
    """Events over a database that services share, and that is nobody's own. Raises ``Refusal``."""
    if same_server(settings.events.reveal(), settings.database.url.reveal()):
        raise Refusal(
            f"events ({settings.source('events')}) names this service's own database",
            "give the broker a database of its own, which all its services name: migrations know nothing of its tables",
            "a service whose events stay within it needs no broker: events = ''",
        )
    try:
        store = make_store(as_database(settings), clock)
    except Refusal as refusal:
        message = refusal.message.replace("database.url", "events")
        raise Refusal(message, *(remedy.replace("database.url", "events") for remedy in refusal.remedies)) from None
    return DatabaseBroker(store, clock=clock, ids=SystemIds(), observer=observer)


def as_database(settings: Settings) -> Settings:
    """Return settings of which the database is the broker's."""
    own = settings.database
    database = Database(
        url=settings.events,
        create=True,
        synchronous=own.synchronous,
        readers=1,
        pool=CONNECTIONS,
        busy_seconds=own.busy_seconds,
        turn_seconds=own.turn_seconds,
    )
    sources = {**settings.sources, "database.url": settings.source("events")}
    return msgspec.structs.replace(settings, database=database, sources=sources)
