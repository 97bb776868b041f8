"""Clients that are slow on purpose, and clients that want too many connections."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from http_clients import Served, Wire
from http_sample import Sample

from mainstay.inbound.http.options import HttpOptions
from mainstay.ports.observer import Notice

Open = Callable[..., Served]

GET = b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"
POST = b"POST /items HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"


@pytest.fixture
def sample() -> Sample:
    return Sample()


@pytest.fixture
def serve(sample: Sample) -> Iterator[Open]:
    """Return a function that opens the door on a socket: what is timed here does not depend on the loop."""
    opened: list[Served] = []

    def open_door(**options: Any) -> Served:
        opened.append(Served(sample, HttpOptions(**options), "uvloop"))
        return opened[-1]

    yield open_door
    for one in opened:
        one.stop()


def trickle(wire: Wire, data: bytes, pause: float, seconds: float) -> float:
    """Send a byte at a time until the server has had enough; return how many seconds that took."""
    began = time.monotonic()
    wire.socket.settimeout(pause)
    for byte in data:
        try:
            wire.say(bytes([byte]))
            wire._buffer += wire.socket.recv(65536)
            break
        except TimeoutError:
            assert time.monotonic() - began < seconds, "it was let have its way"
    wire.socket.settimeout(5)
    return time.monotonic() - began


def test_a_head_has_a_time_in_all_and_not_for_each_byte(serve: Open) -> None:
    wire = serve(header_timeout=1.0, min_body_rate=0).wire()
    assert trickle(wire, GET[:-2] + b"X: " + b"x" * 100, 0.1, 5.0) > 0.9
    answer = wire.hear()
    assert (answer.status, answer.json["code"], answer["Connection"]) == (408, "read_timeout", "close")


@pytest.mark.parametrize(
    "body",
    [b"Content-Length: 500\r\n\r\n" + b"x" * 400, b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 100],
    ids=["of a length", "in chunks"],
)
def test_a_body_must_come_at_a_rate(serve: Open, body: bytes) -> None:
    wire = serve(body_timeout=1.0, min_body_rate=200).wire()
    wire.say(POST + body.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    trickle(wire, body.partition(b"\r\n\r\n")[2], 0.1, 6.0)
    answer = wire.hear()
    assert (answer.status, answer["Connection"]) == (408, "close")


def test_a_body_that_comes_at_its_rate_is_waited_for(serve: Open) -> None:
    wire = serve(body_timeout=1.0, min_body_rate=20).wire()
    body = b'{"name":"' + b"a" * 200 + b'"}'
    wire.say(POST + b"Content-Length: %d\r\n\r\n" % len(body))
    for start in range(0, len(body), 5):
        wire.say(body[start : start + 5])
        time.sleep(0.08)
    assert wire.hear().status == 201


def test_an_answer_must_be_taken_at_a_rate(serve: Open, sample: Sample) -> None:
    served = serve(write_timeout=1.0, min_write_rate=20_000)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(5)
        slow.connect(served.address)
        slow.sendall(b"GET /ticker?end=never HTTP/1.1\r\nHost: t\r\n\r\n")
        end = time.monotonic() + 8
        while sample.streams_closed == 0:
            assert time.monotonic() < end, "it was let have its way"
            slow.recv(100)
            time.sleep(0.05)


def test_a_connection_that_never_says_anything_is_closed(serve: Open) -> None:
    served = serve(first_byte_timeout=1.0, keep_alive_timeout=30.0)
    silent, used = served.wire(), served.wire()
    used.say(GET)
    assert used.hear().status == 200
    assert silent.rest() == b""
    used.say(GET)
    assert used.hear().status == 200


def test_one_connection_too_many_is_told_so(serve: Open, sample: Sample) -> None:
    served = serve(max_connections=3, linger=0.2)
    taken = [served.wire() for _ in range(3)]
    for wire in taken:
        wire.say(GET)
        assert wire.hear().status == 200
    late = served.wire()
    late.say(GET)
    answer = late.hear()
    assert (answer.status, answer.json["code"], answer["Connection"]) == (503, "too_many_connections", "close")
    assert (answer["Retry-After"], answer["Content-Type"]) == ("1", "application/problem+json")
    assert answer["X-Request-ID"]
    assert late.rest() == b""
    assert len(sample.calls) == 3
    assert served.server.connections == 3
    end = time.monotonic() + 4
    while not (told := [one for one in sample.recorder.seen if isinstance(one, Notice)]):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert (told[0].event, told[0].facts) == ("connections_refused", {"count": 1, "open": 3})


def test_a_connection_at_rest_makes_room(serve: Open) -> None:
    served = serve(max_connections=2)
    resting, busy = served.wire(), served.wire()
    busy.say(GET[:10])
    time.sleep(3.2)
    new = served.wire()
    new.say(GET)
    assert new.hear().status == 200
    assert resting.rest() == b""
    busy.say(GET[10:])
    assert busy.hear().status == 200


def test_one_address_has_its_share(serve: Open) -> None:
    served = serve(max_connections_per_address=2, linger=0.1)
    first, second = served.wire(), served.wire()
    for wire in (first, second):
        wire.say(GET)
        assert wire.hear().status == 200
    for _ in range(3):
        third = served.wire()
        assert third.hear().status == 503
        assert third.rest() == b""
    first.close()
    time.sleep(0.1)
    third = served.wire()
    third.say(GET)
    assert third.hear().status == 200


def test_a_listed_proxy_has_no_share(serve: Open) -> None:
    served = serve(max_connections_per_address=1, trusted_proxies=("127.0.0.0/8",))
    wires = [served.wire() for _ in range(5)]
    for wire in wires:
        wire.say(GET)
        assert wire.hear().status == 200


def test_who_asks_too_often_without_reading_is_cut_off(serve: Open) -> None:
    served = serve(max_connections=1, linger=30.0)
    first = served.wire()
    first.say(GET)
    assert first.hear().status == 200
    wires: list[Wire] = []
    ended = 0
    for _ in range(300):
        try:
            wires.append(served.wire())
        except ConnectionResetError:  # at once
            ended += 1
    for wire in wires:
        wire.socket.settimeout(2)
        try:
            ended += wire.hear().status == 503
        except (EOFError, ConnectionResetError):
            ended += 1
    assert ended == 300
    assert len(served.server._shared._turned_away) <= 256
