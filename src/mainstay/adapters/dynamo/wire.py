"""The requests that this adapter makes, and what their failures are in the port's words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import SystemRandom
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError

from mainstay.adapters.dynamo.codec import Item
from mainstay.adapters.dynamo.layout import PARTITION, SORT, Key, key_of
from mainstay.model.problem import CommitUnknown, NotCommitted, Problem, SerializationConflict, Unavailable
from mainstay.ports.store import BeyondStore

MAX_ITEMS = 100
"""The items of one transaction, and of one request for several items."""

ATTEMPTS = 8  # of a transaction that met another; nothing of a cancelled one was done
_PAUSE = 0.01  # seconds before the second one; doubled for each further one, and jittered
_THROTTLED = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded", "ThrottlingException"})
_PASSING = frozenset({"TransactionConflict", "TransactionInProgressException"}) | _THROTTLED
_NEVER_SENT = (EndpointConnectionError, ConnectTimeoutError)


class Wire:
    """One table of the service. Every read is strongly consistent."""

    def __init__(self, client: Any, table: str) -> None:
        self.client: Any = client
        self.table: str = table
        self._random = SystemRandom()

    async def items(self, keys: Sequence[Key]) -> dict[Key, Item]:
        """Return the items of keys, where there are such."""
        found: dict[Key, Item] = {}
        async with _reading():
            if len(keys) == 1:
                answer = await self.client.get_item(TableName=self.table, Key=keys[0].item(), ConsistentRead=True)
                return {keys[0]: answer["Item"]} if "Item" in answer else {}
            for start in range(0, len(keys), MAX_ITEMS):
                wanted: Any = [key.item() for key in keys[start : start + MAX_ITEMS]]
                while wanted:
                    request = {self.table: {"Keys": wanted, "ConsistentRead": True}}
                    answer = await self.client.batch_get_item(RequestItems=request)
                    found |= {key_of(item): item for item in answer["Responses"].get(self.table, ())}
                    wanted = answer.get("UnprocessedKeys", {}).get(self.table, {}).get("Keys")
        return found

    async def partition(
        self, partition: str, *, beyond: str | None = None, descending: bool = False, size: int | None = None
    ) -> AsyncGenerator[list[Item], None]:
        """Give the items of a partition in the order of their sort keys, a page at a time, behind ``beyond``."""
        names, values = {"#p": PARTITION}, {":p": {"S": partition}}
        condition = "#p = :p"
        if beyond is not None:
            names["#s"], values[":s"] = SORT, {"S": beyond}
            condition += " AND #s < :s" if descending else " AND #s > :s"
        request: dict[str, Any] = {
            "TableName": self.table,
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
            "ConsistentRead": True,
            "ScanIndexForward": not descending,
        }
        if size is not None:
            request["Limit"] = size
        while True:
            async with _reading():
                answer = await self.client.query(**request)
            yield answer["Items"]
            following = answer.get("LastEvaluatedKey")
            if not following:
                return
            request["ExclusiveStartKey"] = following

    async def transact(self, actions: Sequence[Any]) -> None:
        """Carry all actions out, or none.

        Raises ``SerializationConflict`` where a condition does not hold any more, ``BeyondStore``, ``NotCommitted``
        and ``CommitUnknown``.
        """
        for attempt in range(ATTEMPTS):
            try:
                await self.client.transact_write_items(TransactItems=list(actions))
                return
            except ClientError as error:
                problem = _cancelled(error)
                if problem is not None:
                    raise problem from error
                last = error
            except _NEVER_SENT as error:
                raise NotCommitted("the database cannot be reached") from error
            except BotoCoreError as error:
                raise CommitUnknown("it is not known whether the change was stored") from error
            await asyncio.sleep(_PAUSE * 2**attempt * (0.5 + self._random.random()))
        if _codes(last) & _THROTTLED:
            raise NotCommitted("the database is asked for more than it may give", retry_after=1.0) from last
        raise SerializationConflict("the change met a concurrent one") from last


def _codes(error: ClientError) -> set[str]:
    reasons: Any = error.response.get("CancellationReasons") or ()
    found = {reason.get("Code", "None") for reason in reasons} - {"None"}
    return found or {error.response["Error"]["Code"]}


def _cancelled(error: ClientError) -> Problem | None:
    """Return the problem that a refusal is, or None where the same may be sent again."""
    codes = _codes(error)
    if "ConditionalCheckFailed" in codes:
        return SerializationConflict("the change met a concurrent one")
    if codes <= _PASSING:
        return None
    if codes & {"ValidationError", "ItemCollectionSizeLimitExceeded", "ValidationException"}:
        return BeyondStore("a row, or the whole command, is larger than this store takes")
    if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500) >= 500:
        return CommitUnknown("it is not known whether the change was stored")
    return NotCommitted("the database refused the change")


@asynccontextmanager
async def _reading() -> AsyncIterator[None]:
    try:
        yield
    except ClientError as error:
        if _codes(error) & _THROTTLED or error.response["Error"]["Code"] in _RETRYABLE:
            raise Unavailable("the database is asked for more than it may give", retry_after=1.0) from error
        raise
    except BotoCoreError as error:
        raise Unavailable("the database cannot be reached") from error


_RETRYABLE = frozenset({"ProvisionedThroughputExceededException", "RequestLimitExceeded", "InternalServerError"})
