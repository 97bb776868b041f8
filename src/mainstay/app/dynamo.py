"""The store of ``dynamodb://`` URLs."""

from __future__ import annotations

from mainstay.adapters.dynamo.store import DynamoStore, place_of
from mainstay.app.refusal import Refusal
from mainstay.app.settings import Settings
from mainstay.ports.clock import Clock
from mainstay.ports.store import Store


def make(settings: Settings, clock: Clock) -> Store:  # noqa: ARG001 - the form of a factory
    """Rows in a table of DynamoDB, with the credentials that the AWS tools find. Raises ``Refusal``."""
    try:
        place = place_of(settings.database.url.reveal())
    except ValueError as fault:
        raise Refusal(
            f"database.url ({settings.source('database.url')}): {fault}",
            "credentials are no part of it: they are found as the AWS tools find them",
        ) from None
    return DynamoStore(place.region, place.table, endpoint=place.endpoint)
