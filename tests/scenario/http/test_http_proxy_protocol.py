"""The PROXY protocol on a socket: whose word is taken, and what becomes of others."""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest
from http_clients import Served
from http_sample import Sample

from mainstay.inbound.http.options import HttpOptions
from mainstay.inbound.http.server import HttpServer
from mainstay.ports.observer import Notice

Serve = Callable[..., Served]

GET = b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"
V1 = b"PROXY TCP4 203.0.113.7 192.0.2.1 4000 80\r\n"
V2 = (
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x21\x00\x24"
    + ip_address("2001:db8:7::1").packed
    + ip_address("2001:db8::1").packed
    + b"\x0f\xa0\x00\x50"
)
LISTED: dict[str, Any] = {"proxy_protocol": True, "trusted_proxies": ("127.0.0.1",)}


@pytest.mark.parametrize(
    ("said", "peer"), [(V1, "203.0.113.7"), (V2, "2001:db8:7::/64"), (b"PROXY UNKNOWN\r\n", "127.0.0.1")]
)
def test_the_client_is_whom_a_listed_proxy_names(serve: Serve, sample: Sample, said: bytes, peer: str) -> None:
    served = serve(**LISTED)
    for pieces in ([said + GET], [said, GET], [bytes([byte]) for byte in said] + [GET]):
        wire = served.wire()
        for piece in pieces:
            wire.say(piece)
        assert wire.hear().json == {"hello": "world"}
        wire.say(GET)
        assert wire.hear().status == 200
    assert {call.peer for call in sample.calls} == {peer}
    assert served.server.connections == 3


@pytest.mark.parametrize(
    "said", [GET, b"PROXY TCP4 a b c d\r\n" + GET, V1[:-2] + b" " * 100 + b"\r\n" + GET, b"\x16\x03\x01"]
)
def test_a_listed_proxy_must_say_it(serve: Serve, sample: Sample, said: bytes) -> None:
    served = serve(**LISTED)
    wire = served.wire()
    wire.say(said)
    assert wire.rest() == b""
    assert not sample.calls
    end = time.monotonic() + 3
    while not any(isinstance(one, Notice) and one.event == "proxy_protocol_broken" for one in sample.recorder.seen):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert served.server.connections == 0


@pytest.mark.parametrize("said", [V1, V2])
def test_others_are_refused_who_say_it(serve: Serve, sample: Sample, said: bytes) -> None:
    for options in ({"proxy_protocol": True, "trusted_proxies": ("10.0.0.0/8",)}, {}):
        served = serve(**options)
        wire = served.wire()
        wire.say(said + GET)
        assert wire.hear().status == 400
        assert wire.rest() == b""
        wire = served.wire()
        wire.say(GET)
        assert wire.hear().status == 200
        wire.say(said)
        assert wire.hear().status == 400
    assert {call.peer for call in sample.calls} == {"127.0.0.1"}


def test_a_second_word_is_no_request(serve: Serve, sample: Sample) -> None:
    wire = serve(**LISTED).wire()
    wire.say(V1 + V1 + GET)
    assert wire.hear().status == 400
    assert wire.rest() == b""
    assert not sample.calls


def test_the_client_behind_the_proxy_is_not_believed_about_others(serve: Serve, sample: Sample) -> None:
    wire = serve(**LISTED).wire()
    wire.say(V1 + GET[:-2] + b"X-Forwarded-For: 198.51.100.1\r\n\r\n")
    assert wire.hear().status == 200
    assert sample.calls[0].peer == "203.0.113.7"


def test_a_proxy_that_says_nothing_is_cut_off(serve: Serve) -> None:
    served = serve(**LISTED, header_timeout=0.5)
    wire = served.wire()
    wire.say(V1[:10])
    assert wire.rest() == b""
    assert served.server.connections == 0


def test_each_client_behind_a_proxy_has_its_share(serve: Serve) -> None:
    served = serve(**LISTED, max_connections_per_address=1, linger=0.1)
    first = served.wire()
    first.say(V1 + GET)
    assert first.hear().status == 200
    second = served.wire()
    second.say(V1 + GET)
    assert second.hear().status == 503
    other = served.wire()
    other.say(V1.replace(b".7 ", b".8 ") + GET)
    assert other.hear().status == 200


def test_a_server_stops_though_a_proxy_has_said_nothing(serve: Serve) -> None:
    served = serve(**LISTED)
    wire = served.wire()
    end = time.monotonic() + 3
    while served.server.connections == 0:
        assert time.monotonic() < end
        time.sleep(0.01)
    served.begin_stop()
    assert wire.rest() == b""
    assert served.stop() is True


def test_it_needs_a_list_and_no_tls() -> None:
    with pytest.raises(ValueError, match="trusted_proxies"):
        HttpOptions(proxy_protocol=True)
    import ssl

    sample = Sample()
    with pytest.raises(ValueError, match="before TLS"):
        HttpServer(sample.door(HttpOptions(**LISTED)), sample.clock, tls=ssl.create_default_context())
