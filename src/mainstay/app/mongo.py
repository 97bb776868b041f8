"""The store of ``mongodb://`` URLs."""

from __future__ import annotations

from mainstay.adapters.mongo.store import MongoStore
from mainstay.app.refusal import Refusal
from mainstay.app.settings import Settings
from mainstay.ports.clock import Clock
from mainstay.ports.store import Store


def make(settings: Settings, clock: Clock) -> Store:  # noqa: ARG001 - the form of a factory
    """Rows in a database of a MongoDB replica set. Raises ``Refusal``."""
    try:
        return MongoStore(settings.database.url.reveal())
    except ValueError:
        raise Refusal(
            f"database.url ({settings.source('database.url')}) is no MongoDB URL with a database",
            "for example mongodb://host:27017/shop?replicaSet=rs0; what a password has of :/?#[]@% is percent-encoded",
        ) from None
