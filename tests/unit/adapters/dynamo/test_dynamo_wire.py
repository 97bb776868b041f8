"""What becomes of requests that the service refuses, or that get lost on the way: a client that fails as told."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from mainstay.adapters.dynamo import wire as wires
from mainstay.adapters.dynamo.layout import PARTITION, SORT, Key
from mainstay.adapters.dynamo.store import Place, place_of
from mainstay.adapters.dynamo.wire import ATTEMPTS, Wire
from mainstay.model.problem import CommitUnknown, NotCommitted, SerializationConflict, Unavailable
from mainstay.ports.store import BeyondStore


def cancelled(*codes: str) -> ClientError:
    reasons = [{"Code": code} for code in codes]
    answer: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
    return ClientError(answer, "TransactWriteItems")


def refused(code: str, status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "any")


class Client:
    """Fails as it is told to, and then does not."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.asked: list[dict[str, Any]] = []

    async def transact_write_items(self, **request: Any) -> None:
        self._next(request)

    async def get_item(self, **request: Any) -> Any:
        self._next(request)
        return {}

    async def batch_get_item(self, **request: Any) -> Any:
        self._next(request)
        (wanted,) = (part["Keys"] for part in request["RequestItems"].values())
        return {"Responses": {"t": wanted[:60]}, "UnprocessedKeys": {"t": {"Keys": wanted[60:]}} if wanted[60:] else {}}

    def _next(self, request: dict[str, Any]) -> None:
        self.asked.append(request)
        if self.failures:
            raise self.failures.pop(0)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wires, "_PAUSE", 0.0)


async def test_a_transaction_that_met_another_is_sent_again() -> None:
    client = Client(cancelled("None", "TransactionConflict"), cancelled("ThrottlingError"))
    await Wire(client, "t").transact([{"Put": {}}])
    assert len(client.asked) == 3


@pytest.mark.parametrize(
    ("failures", "problem"),
    [
        ([cancelled("ConditionalCheckFailed", "TransactionConflict")], SerializationConflict),
        ([cancelled("TransactionConflict")] * ATTEMPTS, SerializationConflict),
        ([cancelled("ProvisionedThroughputExceeded")] * ATTEMPTS, NotCommitted),
        ([cancelled("ValidationError")], BeyondStore),
        ([refused("ValidationException")], BeyondStore),
        ([refused("AccessDeniedException")], NotCommitted),
        ([refused("InternalServerError", 500)], CommitUnknown),
        ([ReadTimeoutError(endpoint_url="http://x")], CommitUnknown),
        ([EndpointConnectionError(endpoint_url="http://x")], NotCommitted),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_what_a_transaction_comes_to(failures: list[Exception], problem: type[Exception]) -> None:
    with pytest.raises(problem) as raised:
        await Wire(Client(*failures), "t").transact([{"Put": {}}])
    assert type(raised.value) is problem


async def test_reads_that_are_refused_for_a_while_are_unavailable() -> None:
    key = Key("p", "s")
    for failure in (refused("ProvisionedThroughputExceededException"), ReadTimeoutError(endpoint_url="http://x")):
        with pytest.raises(Unavailable):
            await Wire(Client(failure), "t").items([key])
    with pytest.raises(ClientError):
        await Wire(Client(refused("AccessDeniedException")), "t").items([key])


async def test_many_items_are_read_by_the_hundred_and_what_was_left_out_again() -> None:
    client = Client()
    keys = [Key("p", f"{n:03}") for n in range(150)]
    found = await Wire(client, "t").items(keys)
    assert set(found) == set(keys)
    assert [len(request["RequestItems"]["t"]["Keys"]) for request in client.asked] == [100, 40, 50]
    assert found[keys[0]] == {PARTITION: {"S": "p"}, SORT: {"S": "000"}}


def test_a_url_names_a_region_and_a_table() -> None:
    assert place_of("dynamodb://eu-west-1/shop") == Place("eu-west-1", "shop", None)
    assert place_of("dynamodb://local/my.shop_1?endpoint=http://127.0.0.1:8000") == Place(
        "local", "my.shop_1", "http://127.0.0.1:8000"
    )


@pytest.mark.parametrize(
    "url",
    [
        "dynamodb://eu-west-1",
        "dynamodb://eu-west-1/",
        "dynamodb://eu-west-1/ab",
        "dynamodb://eu-west-1/a/b/c",
        "dynamodb:///shop",
        "dynamodb://me:hunter2@eu-west-1/shop",
        "dynamodb://eu-west-1/shop?endpoint=hunter2",
        "dynamodb://eu-west-1/shop?endpoint=",
        "dynamodb://eu-west-1/shop?secret=hunter2",
        "dynamodb://eu-west-1/shop#hunter2",
    ],
)
def test_what_names_none_is_refused_without_its_text(url: str) -> None:
    with pytest.raises(ValueError, match="DynamoDB URL") as refused_:
        place_of(url)
    assert "hunter2" not in str(refused_.value)
