"""Claims as items with a term: who dies renews no more, and another may take it.

The service tells no time, so that terms are in the clock of who asks: clocks of hosts may differ by less than a term.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from mainstay.adapters.dynamo.layout import ONLY, PARTITION, Key
from mainstay.adapters.dynamo.wire import Wire
from mainstay.model.problem import Unavailable
from mainstay.ports.store import Claims

TERM = 30.0
"""Seconds after which a claim that is not renewed is free."""

_RENEWALS = 4  # in a term
_NAMES = {"#p": PARTITION, "#h": "#holder", "#u": "#until"}


class DynamoClaims(Claims):
    """Claims that all replicas see. A holder that dies is followed after ``term`` seconds at the latest."""

    def __init__(self, *, term: float = TERM) -> None:
        self._term = term
        self._holder = uuid4().hex
        self._held: set[bytes] = set()
        self._wire: Wire | None = None
        self._renewing: asyncio.Task[None] | None = None

    def start(self, wire: Wire) -> None:
        """Begin to renew what is held."""
        self._wire = wire
        self._renewing = asyncio.create_task(self._renew(wire), name="mainstay-claims")

    async def stop(self) -> None:
        """Let everything go."""
        renewing, self._renewing = self._renewing, None
        if renewing is not None:
            renewing.cancel()
            await asyncio.wait({renewing})
        for key in tuple(self._held):
            await self.drop(key)
        self._wire = None

    async def take(self, key: bytes) -> bool:
        if key in self._held:
            return False
        self._held.add(key)  # before the first wait: of two tasks that ask at once one goes on
        taken = False
        try:
            taken = await self._put(self._open(), key, "attribute_not_exists(#p) OR #u < :now OR #h = :holder")
        finally:
            if not taken:
                self._held.discard(key)
        return taken

    async def drop(self, key: bytes) -> None:
        if key not in self._held:
            return
        wire = self._open()
        try:
            with suppress(_Refused), _told():  # it ran out, and is another's now
                await wire.client.delete_item(
                    TableName=wire.table,
                    Key=_key(key).item(),
                    ConditionExpression="#h = :holder",
                    ExpressionAttributeNames={"#h": "#holder"},
                    ExpressionAttributeValues={":holder": {"S": self._holder}},
                )
        finally:
            self._held.discard(key)

    async def _put(self, wire: Wire, key: bytes, condition: str) -> bool:
        now = time.time()
        values = {":now": {"N": f"{now:.3f}"}, ":holder": {"S": self._holder}}
        until = {"N": f"{now + self._term:.3f}"}
        try:
            with _told():
                await wire.client.put_item(
                    TableName=wire.table,
                    Item={**_key(key).item(), "#holder": values[":holder"], "#until": until},
                    ConditionExpression=condition,
                    ExpressionAttributeNames={name: _NAMES[name] for name in _NAMES if name in condition},
                    ExpressionAttributeValues={name: values[name] for name in values if name in condition},
                )
        except _Refused:
            return False
        return True

    async def _renew(self, wire: Wire) -> None:
        while True:
            await asyncio.sleep(self._term / _RENEWALS)
            for key in tuple(self._held):
                with suppress(Unavailable):  # within the term there are more attempts
                    await self._put(wire, key, "#h = :holder")

    def _open(self) -> Wire:
        if self._wire is None:
            raise RuntimeError("the store is not open: start() it with its tables first")
        return self._wire


class _Refused(Exception):
    """The condition did not hold."""


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            raise _Refused from error
        raise Unavailable("the database refuses a claim") from error
    except BotoCoreError as error:
        raise Unavailable("the database cannot be reached") from error


def _key(key: bytes) -> Key:
    return Key(f"|claim|{hashlib.sha256(key).hexdigest()}", ONLY)
