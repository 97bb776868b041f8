"""The AsyncAPI document of the shop and of others: valid by its specification, complete, the same bytes each time."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from contracts import bound_of
from event_shapes import event
from jsonschema import Draft7Validator, Draft202012Validator
from shop_served import SHOP, settings_for, shop_service

from mainstay import Events, Module, Principal, Service, anyone
from mainstay.app.documents import documents_of
from mainstay.deliver.asyncapi.servers import servers_of
from mainstay.kernel.bind import Bound
from mainstay.kernel.flow.envelope import Envelope, encode
from mainstay.kernel.flow.principals import encode_principal

SPECIFICATION = Path(__file__).parent / "specifications" / "asyncapi-3.0.0.json.gz"
DUMP = """
import sys
sys.path[:0] = sys.argv[1:]
from contracts import bound_of
from mainstay.app.documents import documents_of
from shop.service import shop
sys.stdout.buffer.write(documents_of(bound_of(shop))["/asyncapi.json"].body)
"""


def document_of(bound: Bound, broker: str = "") -> dict[str, Any]:
    made: dict[str, Any] = json.loads(documents_of(bound, broker=broker)["/asyncapi.json"].body)
    return made


@pytest.fixture(scope="module")
def bound() -> Bound:
    return bound_of(shop_service(settings_for("memory:")))


@pytest.fixture(scope="module")
def document(bound: Bound) -> dict[str, Any]:
    return document_of(bound)


@pytest.fixture(scope="module")
def specification() -> Draft7Validator:
    return Draft7Validator(json.loads(gzip.decompress(SPECIFICATION.read_bytes())))


def errors(specification: Draft7Validator, document: dict[str, Any]) -> list[str]:
    return [f"{list(error.absolute_path)}: {error.message[:200]}" for error in specification.iter_errors(document)]


def test_it_is_valid(specification: Draft7Validator, document: dict[str, Any]) -> None:
    assert errors(specification, document) == []


def test_the_specification_would_refuse_a_broken_one(specification: Draft7Validator, document: dict[str, Any]) -> None:
    channels = {**document["channels"], "x": {"address": 1}}
    assert errors(specification, {**document, "channels": channels})
    operations = {"x": {"action": "shout", "channel": {"$ref": "#/channels/x"}}}
    assert errors(specification, {**document, "operations": operations})


def test_it_is_valid_with_servers_and_without_events(specification: Draft7Validator, bound: Bound) -> None:
    assert errors(specification, document_of(bound, "kafka://ann:secret@a:9092,b:9092")) == []
    assert errors(specification, document_of(bound_of(Service("empty", modules=[Module("none")])))) == []


@pytest.mark.parametrize("seed", ["0", "4711"])
def test_it_is_the_same_bytes_in_every_process(bound: Bound, seed: str) -> None:
    folders = [str(SHOP), os.path.join(os.path.dirname(__file__), "..", "plugins")]
    environ = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run([sys.executable, "-c", DUMP, *folders], env=environ, capture_output=True, check=True)
    assert done.stdout == documents_of(bound)["/asyncapi.json"].body


def test_every_event_has_a_channel_and_says_who_sends_and_receives(document: dict[str, Any]) -> None:
    assert sorted(document["channels"]) == [
        "parcels.ParcelHandedOver",
        "store.OrderCancelled",
        "store.OrderPlaced",
    ]
    told = {
        name: (made["action"], made["channel"]["$ref"], made["x-operation"])
        for name, made in document["operations"].items()
    }
    assert told == {
        "send.store.OrderCancelled.cancel_order": ("send", "#/channels/store.OrderCancelled", "cancel_order"),
        "send.store.OrderPlaced.place_order": ("send", "#/channels/store.OrderPlaced", "place_order"),
        "receive.announce": ("receive", "#/channels/parcels.ParcelHandedOver", "announce"),
        "receive.thank": ("receive", "#/channels/store.OrderPlaced", "thank"),
    }
    assert document["operations"]["receive.thank"]["x-versions"] == [1]
    assert document["operations"]["receive.thank"]["summary"].startswith("Thank for an order")


def test_a_message_is_a_cloud_event_around_its_data(document: dict[str, Any]) -> None:
    message = document["components"]["messages"]["store.OrderPlaced.v1"]
    assert message["contentType"] == "application/cloudevents+json"
    assert message["summary"] == "A customer has ordered."
    (example,) = message["examples"]
    assert faults_of(document, example["payload"]) == []
    for wrong in ({"type": "store.Other"}, {"specversion": "0.3"}, {"dataversion": "2"}, {"data": {}}):
        assert faults_of(document, {**example["payload"], **wrong}), wrong
    attributes = document["components"]["schemas"]["CloudEvent"]["properties"]
    assert {"partitionkey", "sequence", "previous", "principal", "requestid", "traceparent", "dataversion"} <= set(
        attributes
    )
    assert all(name.isalnum() and name.islower() for name in attributes)  # CloudEvents 1.0, section 3.1


@pytest.mark.parametrize("schemas", ["", "https://schemas.example.com/events"])
def test_what_goes_over_a_broker_is_such_a_message(document: dict[str, Any], schemas: str) -> None:
    data = document["components"]["messages"]["store.OrderPlaced.v1"]["examples"][0]["payload"]["data"]
    sent = Envelope(
        id=UUID(int=7),
        source="shop",
        event="store.OrderPlaced",
        key="k",
        payload=json.dumps(data),
        principal=encode_principal(Principal.system),
        request_id="r-1",
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        emitted_at=datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
        sequence=1769851800000000,
        previous=1769851800000001,
    )
    body = json.loads(encode(sent, schemas))
    assert body.get("dataschema") == (f"{schemas}/store.OrderPlaced.1.json" if schemas else None)
    assert faults_of(document, body) == []
    attributes = document["components"]["schemas"]["CloudEvent"]["properties"]
    assert set(body) - {"data"} <= set(attributes)


def faults_of(document: dict[str, Any], body: Any) -> list[str]:
    payload = document["components"]["messages"]["store.OrderPlaced.v1"]["payload"]
    schema = {**payload, "components": document["components"]}
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [error.message for error in validator.iter_errors(body)]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    pending: list[Any] = [document]
    seen = 0
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            target: Any = document
            if isinstance(one.get("$ref"), str):
                seen += 1
                for step in one["$ref"].removeprefix("#/").split("/"):
                    target = target[step]
            pending.extend(one.values())
        elif isinstance(one, list):
            pending.extend(one)
    assert seen > 5


def test_a_version_is_told_in_the_message() -> None:
    kind = event({"text": str}, version=2)
    desk = Module("desk")

    @desk.command("POST /change", allow=anyone)
    async def change(events: Events) -> None:
        events.emit(kind(text="x"))

    @desk.on(kind)
    async def note() -> None: ...

    made = document_of(bound_of(Service("s", modules=[desk])))
    message = made["components"]["messages"]["desk.Changed.v2"]
    assert message["x-version"] == 2
    assert message["examples"][0]["payload"]["dataversion"] == "2"
    assert message["payload"]["allOf"][1]["required"] == ["data", "dataversion"]


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("", {}),
        ("memory:", {}),
        ("nats://broker:4222", {"broker": {"host": "broker:4222", "protocol": "nats"}}),
        ("nats://ann:secret@broker:4222", {"broker": {"host": "broker:4222", "protocol": "nats"}}),
        (
            "rabbitmq://a:b@[::1]:5672/shop?x=y",
            {"broker": {"host": "[::1]:5672", "protocol": "amqp", "pathname": "/shop"}},
        ),
        (
            "kafka://ann:se%40cret@a:9092,b:9092/",
            {"broker": {"host": "a:9092", "protocol": "kafka"}, "broker-2": {"host": "b:9092", "protocol": "kafka"}},
        ),
        ("redis://:pass@word@cache:6379/1", {"broker": {"host": "cache:6379", "protocol": "redis", "pathname": "/1"}}),
        ("nats://ann:1234/x@broker", {}),
        ("nats://ann:p?w@broker", {}),
        ("nats://:secret", {}),
    ],
)
def test_servers_are_told_without_credentials(url: str, servers: dict[str, Any]) -> None:
    assert servers_of(url) == servers


def test_an_event_of_another_service_is_told_as_it_is_read_here(specification: Draft7Validator) -> None:
    kind = event({"amount": int})
    desk = Module("desk")

    async def book(event: Any) -> None: ...

    book.__annotations__["event"] = kind
    desk.on("bank.Paid")(book)
    made = document_of(bound_of(Service("s", modules=[desk])))
    assert errors(specification, made) == []
    channel = made["channels"]["bank.Paid"]
    assert channel["description"] == "An event of another service, as it is read here."
    assert channel["messages"] == {"bank.Paid.v1.book": {"$ref": "#/components/messages/bank.Paid.v1.book"}}
    assert list(made["operations"]) == ["receive.book"]
