"""Which Redis server a URL names, and what is refused of one, without a word of a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainstay.adapters.redis.broker import RedisBroker
from mainstay.adapters.redis.connection import RedisPlace
from mainstay.app.broker_credentials import current_credentials
from mainstay.app.broker_urls import TLS_OPTIONS, BrokerUrl
from mainstay.app.redis import EXAMPLE, broker_of, place_of
from mainstay.app.refusal import Refusal
from mainstay.testing.fixed import FixedClock
from mainstay.testing.recorder import Recorder

SECRET = "hunter2"


def place(text: str, root: Path) -> RedisPlace:
    url = BrokerUrl(text, source="MAINSTAY_EVENTS", example=EXAMPLE, options=("prefix", *TLS_OPTIONS))
    return place_of(url, root, current_credentials(text, lambda: text))


def test_a_host_alone_has_the_usual_port_and_the_first_database(tmp_path: Path) -> None:
    found = place("redis://cache", tmp_path)
    assert (found.host, found.port, found.database, found.tls) == ("cache", 6379, 0, False)
    assert found.credentials() == (None, None)


def test_all_of_it(tmp_path: Path) -> None:
    found = place("rediss://shop:a%3Ab%40c@[::1]:7000/3", tmp_path)
    assert (found.host, found.port, found.database, found.tls) == ("::1", 7000, 3, True)
    assert found.credentials() == ("shop", "a:b@c")
    assert "a:b@c" not in repr(found)


def test_a_password_alone(tmp_path: Path) -> None:
    assert place(f"redis://:{SECRET}@cache/", tmp_path).credentials() == (None, SECRET)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"redis://:{SECRET}@", "names no host"),
        (f"redis://:{SECRET}@one,two", "names several hosts"),
        (f"redis://:{SECRET}@cache:70000", "names no host"),
        (f"redis://:{SECRET}@cache/shop", "is no number of a database"),
        (f"redis://:{SECRET}@cache/0/1", "is no number of a database"),
        (f"redis://:{SECRET}@cache/0#x", "has a part behind #"),
        (f"redis://:{SECRET}@cache?database=1", "has options that are not known: database"),
        (f"redis://:{SECRET}@cache?prefix=a&prefix=b", "has an option twice"),
        (f"redis://:{SECRET}@cache?prefix=a:b", "has a wrong prefix"),
        (f"redis://:{SECRET}@cache?ca=ca.pem", "has files of TLS, and asks for none"),
        (f"rediss://:{SECRET}@cache?ca=none.pem", "there is no such file"),
        (f"rediss://:{SECRET}@cache?ca=empty.pem", "has TLS files that cannot be used"),
        (f"redis://{SECRET}@cache", "has a user without a password"),
        (f"redis://:{SECRET}?x@cache", "is no URL"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "ca.pem").write_text("")
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(Refusal) as refused:
        broker_of(text, "MAINSTAY_EVENTS", tmp_path, FixedClock(), Recorder(), lambda: "")
    assert message in refused.value.message
    assert "MAINSTAY_EVENTS" in refused.value.message
    assert SECRET not in f"{refused.value.message} {refused.value.remedies}"


async def test_a_broker_is_made_and_connects_to_nothing_yet(tmp_path: Path) -> None:
    made = broker_of("redis://cache?prefix=shop", "MAINSTAY_EVENTS", tmp_path, FixedClock(), Recorder(), lambda: "")
    assert isinstance(made, RedisBroker)
    assert made.streams.of("orders.OrderPlaced") == "shop:stream:orders.OrderPlaced"
    await made.close()
