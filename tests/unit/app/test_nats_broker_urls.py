"""Which NATS servers a URL names, and what is refused of one, without a word of a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainstay.adapters.nats.broker import NatsBroker
from mainstay.adapters.nats.connection import NatsPlace
from mainstay.app.broker_credentials import current_credentials
from mainstay.app.broker_urls import TLS_OPTIONS, BrokerUrl
from mainstay.app.nats import EXAMPLE, broker_of, place_of
from mainstay.app.refusal import Refusal
from mainstay.testing.fixed import FixedClock
from mainstay.testing.recorder import Recorder

SECRET = "hunter2"


def place(text: str, root: Path) -> NatsPlace:
    url = BrokerUrl(text, source="MAINSTAY_EVENTS", example=EXAMPLE, options=("prefix", "replicas", *TLS_OPTIONS))
    return place_of(url, root, current_credentials(text, lambda: text))


def test_hosts_have_the_usual_port_where_they_name_none(tmp_path: Path) -> None:
    assert place("nats://one,two:4333,[::1]", tmp_path).servers == ("one:4222", "two:4333", "[::1]:4222")


def test_user_and_password_or_a_token(tmp_path: Path) -> None:
    both = place(f"nats://shop:{SECRET}%40@one", tmp_path)
    assert both.credentials() == ("shop", f"{SECRET}@")
    assert SECRET not in repr(both)
    assert place(f"nats://{SECRET}@one", tmp_path).credentials() == (SECRET, None)


def test_tls_is_by_the_scheme(tmp_path: Path) -> None:
    assert place("nats://one", tmp_path).tls is None
    secured = place("tls://one", tmp_path).tls
    assert secured is not None
    assert secured.check_hostname


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nats://", "names no host"),
        (f"nats://shop:{SECRET}@one,,two", "names no host"),
        (f"nats://shop:{SECRET}@one:70000", "names no host"),
        (f"nats://shop:{SECRET}@one/stream", "has a path"),
        (f"nats://:{SECRET}@one", "has a password without a user"),
        (f"nats://shop:{SECRET}@one?replicas=0", "has a wrong replicas"),
        (f"nats://shop:{SECRET}@one?replicas=many", "has a wrong replicas"),
        (f"nats://shop:{SECRET}@one?stream=x", "has options that are not known: stream"),
        (f"nats://shop:{SECRET}@one?prefix=a.b", "has a wrong prefix"),
        (f"nats://shop:{SECRET}@one?ca=ca.pem", "has files of TLS, and asks for none"),
        (f"tls://shop:{SECRET}@one?ca=none.pem", "there is no such file"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "ca.pem").write_text("")
    with pytest.raises(Refusal) as refused:
        broker_of(text, "MAINSTAY_EVENTS", tmp_path, FixedClock(), Recorder(), lambda: "")
    assert message in refused.value.message
    assert SECRET not in f"{refused.value.message} {refused.value.remedies}"


async def test_a_broker_is_made_and_connects_to_nothing_yet(tmp_path: Path) -> None:
    made = broker_of(
        "nats://one?prefix=shop&replicas=3", "MAINSTAY_EVENTS", tmp_path, FixedClock(), Recorder(), lambda: ""
    )
    assert isinstance(made, NatsBroker)
    assert made.names.subject("orders.OrderPlaced") == "shop.event.orders.OrderPlaced"
    await made.close()
