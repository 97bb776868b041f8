"""A broker's URL is refused with what is wrong with it, and with no part of its credentials."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mainstay.app import kafka, rabbitmq
from mainstay.app.refusal import Refusal

AMQP = "amqp://me:hunter2@rabbit.example/shop"
KAFKA = "kafka://me:hunter2@kafka.example:9092"
FAULTS = [
    ("amqp://me:hunter2@/", "names no host"),
    ("amqp://me:hunter2@rabbit.example:99999/", "names no host"),
    ("amqp://me:hunter2@[rabbit/", "is no URL"),
    ("amqp://me:hunter2@a.example,b.example/", "several hosts"),
    ("amqp://me:hunter2@rabbit.example/a/b", "%2F"),
    (f"{AMQP}#2", "percent-encoded"),
    (f"{AMQP}?prefetch", "is no URL"),
    (f"{AMQP}?prefetch=0", "a number from 1 to 10000"),
    (f"{AMQP}?prefetch=hunter2", "a number from 1 to 10000"),
    (f"{AMQP}?prefetch=1&prefetch=2", "an option twice"),
    (f"{AMQP}?hunter=2", "known are ca, certificate, delivery_limit"),
    (f"{AMQP}?hunter+2=hunter2", "one that is no name"),
    (f"{AMQP}?prefix=a.b", "letters, digits"),
    (f"{AMQP}?ca=there.pem", "no such file"),
    (f"{AMQP}?ca=here.pem", "begin it with amqps:"),
    ("amqps://me:hunter2@rabbit.example/?ca=here.pem", "cannot be used"),
    (f"{KAFKA}/topic", "has a path"),
    (f"{KAFKA}?sasl=PLAIN", "for all to read"),
    (f"{KAFKA}?sasl=GSSAPI", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"),
    (f"{KAFKA}?transactions=maybe", "true or false"),
    (f"{KAFKA}?partitions=0", "a number from 1"),
    (f"{KAFKA}?ca=here.pem", "begin it with kafka+ssl:"),
    ("kafka+ssl://me:hunter2@kafka.example?ca=here.pem", "cannot be used"),
    ("kafka+ssl://me:hunter2@kafka.example?key=there.pem", "no such file"),
]


@pytest.mark.parametrize(("url", "said"), FAULTS)
def test_what_is_wrong_is_said_without_the_password(url: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "here.pem").write_text("no certificate")
    make: Callable[..., object] = rabbitmq.broker_of if url.startswith("amqp") else kafka.broker_of
    with pytest.raises(Refusal) as refused:
        make(url, "MAINSTAY_EVENTS", tmp_path)
    text = " ".join([refused.value.message, *refused.value.remedies])
    assert said in text
    assert "MAINSTAY_EVENTS" in text
    assert "hunter2" not in text
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize(
    "url",
    [
        "amqp://rabbit",
        "amqp://me:p%40ss@127.0.0.1:5673/%2Fshop?prefix=shop&prefetch=10&delivery_limit=5&max_bytes=65536",
        "amqps://[::1]:5671/",
    ],
)
def test_what_a_rabbitmq_url_may_say(url: str, tmp_path: Path) -> None:
    broker = rabbitmq.broker_of(url, "MAINSTAY_EVENTS", tmp_path)
    assert broker.traits.max_bytes == (65_536 if "max_bytes" in url else 1 << 24)


def security(url: str, tmp_path: Path) -> dict[str, str]:
    """The client's settings that a URL comes to."""
    parsed = kafka.BrokerUrl(url, source="events", example="", options=kafka._OPTIONS)
    return kafka._security(parsed, tmp_path)


def test_kafka_without_a_user_asks_for_none(tmp_path: Path) -> None:
    assert security("kafka://a:1,b:2,c:3", tmp_path) == {"security.protocol": "PLAINTEXT"}
    assert security("kafka+ssl://a", tmp_path) == {"security.protocol": "SSL"}


def test_kafka_with_a_user_asks_for_scram_unless_told_otherwise(tmp_path: Path) -> None:
    assert security("kafka://me:p%40ss@a", tmp_path) == {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "me",
        "sasl.password": "p@ss",
    }
    found = security("kafka+ssl://me:p@a?sasl=PLAIN", tmp_path)
    assert (found["security.protocol"], found["sasl.mechanism"]) == ("SASL_SSL", "PLAIN")


def test_what_a_kafka_url_may_say(tmp_path: Path) -> None:
    url = "kafka://a:9092,b?prefix=shop&partitions=12&replication=3&max_bytes=2000000&transactions=true"
    assert kafka.broker_of(url, "MAINSTAY_EVENTS", tmp_path).traits.max_bytes == 2_000_000
