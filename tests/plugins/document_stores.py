"""Stores of documents for scenarios: MongoDB and DynamoDB, each with a place of a test's own that is taken away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.session import get_session
from tests.conformance.servers import mongo_database, name_of, server

from mainstay.adapters.dynamo import store as dynamo_store
from mainstay.adapters.dynamo.store import DynamoStore, place_of
from mainstay.adapters.mongo.store import MongoStore
from mainstay.ports.store import Store

DOCUMENT_STORES = ("mongodb", "dynamodb")
CREDENTIALS = ("test", "test")


@cache
def _session() -> Any:
    """Read the descriptions of the services once: that takes a second."""
    return get_session()


@asynccontextmanager
async def document_store(kind: str, folder: Path) -> AsyncIterator[Store]:
    """Have a store of this kind, not started yet."""
    if kind == "mongodb":
        with mongo_database(folder) as url:
            yield MongoStore(url)
        return
    place = place_of(server("MAINSTAY_TEST_DYNAMO"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamo_store, "get_session", _session)
        # moto does not know a request that is sent again: none shall be.
        store = DynamoStore(
            place.region, name_of(folder), endpoint=place.endpoint, credentials=CREDENTIALS, timeout=120.0
        )
        yield store
        async with store._client() as client:
            for name in (await client.list_tables())["TableNames"]:
                if name == name_of(folder):
                    await client.delete_table(TableName=name)
