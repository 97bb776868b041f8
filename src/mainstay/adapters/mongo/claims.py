"""Claims as documents with a term by the server's clock: who dies renews no more, and another may take it."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from bson import Binary
from pymongo import ASCENDING
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DuplicateKeyError, PyMongoError

from mainstay.adapters.mongo.codec import Document
from mainstay.ports.store import Claims

COLLECTION = "mainstay_claims"
TERM = 30.0
"""Seconds after which a claim that is not renewed is free."""

_RENEWALS = 4  # in a term
_KEPT = 3600  # seconds after which the server removes what was left behind


class MongoClaims(Claims):
    """Claims that all replicas see. A holder that dies is followed after ``term`` seconds at the latest."""

    def __init__(self, *, term: float = TERM) -> None:
        self._term = term
        self._holder = uuid4().hex
        self._held: set[bytes] = set()
        self._collection: AsyncCollection[Document] | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def start(self, collection: AsyncCollection[Document]) -> None:
        """Begin to renew what is held."""
        self._collection = collection
        await collection.create_index([("until", ASCENDING)], expireAfterSeconds=_KEPT)
        self._renewing = asyncio.create_task(self._renew(collection), name="mainstay-claims")

    async def stop(self) -> None:
        """Let everything go."""
        renewing, self._renewing = self._renewing, None
        if renewing is not None:
            renewing.cancel()
            await asyncio.wait({renewing})
        for key in tuple(self._held):
            await self.drop(key)
        self._collection = None

    async def take(self, key: bytes) -> bool:
        if key in self._held:
            return False
        self._held.add(key)  # before the first wait: of two tasks that ask at once one goes on
        try:
            taken = await self._take(self._open(), key)
        except BaseException:
            self._held.discard(key)
            raise
        if not taken:
            self._held.discard(key)
        return taken

    async def _take(self, collection: AsyncCollection[Document], key: bytes) -> bool:
        mine = {"_id": Binary(key), "holder": self._holder}
        try:
            await collection.update_one(mine, self._until(), upsert=True)
        except DuplicateKeyError:
            over = {"_id": Binary(key), "$expr": {"$lte": ["$until", "$$NOW"]}}
            done = await collection.update_one(over, self._until())
            return bool(done.matched_count)
        return True

    def _until(self) -> list[Document]:
        milliseconds = int(self._term * 1000)
        return [{"$set": {"holder": self._holder, "until": {"$add": ["$$NOW", milliseconds]}}}]

    async def drop(self, key: bytes) -> None:
        if key in self._held:
            try:
                await self._open().delete_one({"_id": Binary(key), "holder": self._holder})
            finally:
                self._held.discard(key)

    async def _renew(self, collection: AsyncCollection[Document]) -> None:
        while True:
            await asyncio.sleep(self._term / _RENEWALS)
            keys = [Binary(key) for key in self._held]
            if keys:
                try:
                    await collection.update_many({"_id": {"$in": keys}, "holder": self._holder}, self._until())
                except PyMongoError:
                    continue  # within the term there are more attempts; behind it another may take the claim

    def _open(self) -> Any:
        if self._collection is None:
            raise RuntimeError("the store is not open: start() it with its tables first")
        return self._collection
