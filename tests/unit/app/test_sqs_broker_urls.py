"""URLs of SQS, and what goes over its wire."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.sqs.broker import SqsBroker
from mainstay.adapters.sqs.wire import MAX_REQUEST, entry_of, name_of, place_of, policy_for, topics_of
from mainstay.app.brokers import make_broker
from mainstay.app.refusal import Refusal
from mainstay.app.settings import load
from mainstay.ports.broker import Broker, Outgoing
from mainstay.testing.recorder import Recorder


def made(folder: Path, url: str) -> Broker | None:
    settings = load(folder, environ={"MAINSTAY_PROFILE": "test", "MAINSTAY_EVENTS": url})
    return make_broker(settings, SystemClock(), Recorder())


def test_the_url_names_a_region(tmp_path: Path) -> None:
    broker = made(tmp_path, "sqs://eu-west-1?prefix=shop")
    assert isinstance(broker, SqsBroker)
    assert broker.traits.max_bytes < MAX_REQUEST
    place = place_of("sqs://eu-west-1?endpoint=http://127.0.0.1:5000")
    assert place == ("eu-west-1", "http://127.0.0.1:5000", "mainstay")


@pytest.mark.parametrize(
    "url",
    [
        "sqs://",
        "sqs://EU_WEST",
        "sqs://key:hunter2@eu-west-1",
        "sqs://eu-west-1/queue",
        "sqs://eu-west-1?secret=hunter2",
        "sqs://eu-west-1?endpoint=hunter2",
        "sqs://eu-west-1?prefix=",
        "sqs://eu-west-1?prefix=a.b",
        "sqs://eu-west-1#hunter2",
    ],
)
def test_what_is_no_such_url_is_refused_without_its_secret(tmp_path: Path, url: str) -> None:
    with pytest.raises(Refusal) as refused:
        made(tmp_path, url)
    assert "events" in refused.value.message
    assert "hunter2" not in " ".join([refused.value.message, *refused.value.remedies])


def test_names_are_those_that_sqs_takes() -> None:
    assert name_of("shop", "orders.OrderPlaced") == "shop-orders-OrderPlaced"
    for wrong in ("ä", "a b", "x" * 80):
        with pytest.raises(ValueError, match="no place in SQS"):
            name_of("shop", wrong)


def test_a_policy_says_which_topics_it_lets_in() -> None:
    for topics in ([], ["arn:a"], ["arn:a", "arn:b"]):
        assert topics_of(policy_for("arn:queue", topics)) == topics
    assert topics_of("") == []
    assert topics_of('{"Statement": [{"Condition": {"ArnEquals": {"aws:SourceArn": "arn:one"}}}]}') == ["arn:one"]


@pytest.mark.parametrize(
    ("body", "encoded"),
    [(b'{"a": "\xc3\xa4"}', False), (b"\x00", True), (b"\xff", True), (b"", True), ("\uffff".encode(), True)],
)
def test_what_is_no_text_for_sqs_is_sent_as_base64(body: bytes, encoded: bool) -> None:
    entry = entry_of(3, Outgoing(id=uuid4(), topic="orders.OrderPlaced", body=body))
    assert entry["Id"] == "3"
    assert ("encoding" in entry["MessageAttributes"]) == encoded
