"""Where other servers differ from ours on the wire, each by name; what they share is shown by all other scenarios."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from http_clients import Foreign, Wire
from http_sample import Sample

from mainstay.app.servers.unkept import UNKEPT
from mainstay.inbound.http.options import HttpOptions

GET = b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"


@pytest.fixture
def sample() -> Sample:
    return Sample()


@pytest.fixture(params=["uvicorn", "granian"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def serve(name: str, sample: Sample) -> Iterator[Callable[..., Foreign]]:
    opened: list[Foreign] = []

    def open_door(**options: Any) -> Foreign:
        opened.append(Foreign(sample, HttpOptions(**options), name))
        return opened[-1]

    yield open_door
    for one in opened:
        one.stop()


def closed_after(wire: Wire, seconds: float) -> float | None:
    """How long the server waited until it closed a connection, or None where it did not in this time."""
    begun = time.monotonic()
    wire.socket.settimeout(seconds)
    try:
        while wire.socket.recv(65536):
            pass
    except TimeoutError:
        return None
    return time.monotonic() - begun


def test_requests_sent_ahead_are_answered_in_order(serve: Callable[..., Foreign]) -> None:
    wire = serve().wire()
    wire.say(GET + b"GET /items/7 HTTP/1.1\r\nHost: t\r\n\r\n" + GET)
    assert [wire.hear().json for _ in range(3)][::2] == [{"hello": "world"}] * 2


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /hello HTTP/1.1\r\nHost: t\r\nA : b\r\n\r\n",
        b"POST /items HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"hello\r\n\r\n",
    ],
)
def test_malformed_http_is_refused_in_the_servers_own_words_and_never_run(
    serve: Callable[..., Foreign], sample: Sample, request_: bytes
) -> None:
    wire = serve().wire()
    wire.say(request_ + GET)
    answer = wire.rest()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
    assert b"problem+json" not in answer
    assert not sample.calls


def test_a_head_that_does_not_end(serve: Callable[..., Foreign], name: str) -> None:
    wire = serve(header_timeout=0.5).wire()
    wire.say(GET[:-2])
    waited = closed_after(wire, 2)
    assert (waited is None) is ("http.header_seconds" in UNKEPT[name])


def test_a_connection_at_rest(serve: Callable[..., Foreign], name: str) -> None:
    wire = serve(keep_alive_timeout=1.0, header_timeout=5.0).wire()
    wire.say(GET)
    assert wire.hear().status == 200
    waited = closed_after(wire, 3)
    assert (waited is None) is ("http.idle_seconds" in UNKEPT[name])


def test_a_connection_at_rest_has_the_time_of_a_head_where_it_has_no_own(sample: Sample) -> None:
    served = Foreign(sample, HttpOptions(header_timeout=0.5), "granian")
    wire = served.wire()
    wire.say(GET)
    assert wire.hear().status == 200
    assert closed_after(wire, 4) is not None
    served.stop()


def test_a_head_over_its_bound_is_refused(serve: Callable[..., Foreign], sample: Sample) -> None:
    served = serve(max_header_bytes=4096)
    wire = served.wire()
    wire.say(b"GET /hello HTTP/1.1\r\nHost: t\r\nA: " + b"x" * 30_000 + b"\r\n\r\n")
    assert wire.hear().status == 431
    assert not sample.calls


def test_what_waits_in_the_queue_is_left_to_the_successor(name: str, sample: Sample) -> None:
    """While one drains, another on the same socket takes every new connection."""
    served = Foreign(sample, HttpOptions(), name)
    kept = served.listener.dup()
    wire = served.wire()
    wire.say(GET)
    assert wire.hear().status == 200
    served.loop.call_soon_threadsafe(served.server.refuse)
    time.sleep(0.2)
    with socket.create_connection(served.address, timeout=5) as late, kept:
        late.sendall(GET)
        time.sleep(0.2)
        kept.settimeout(5)
        accepted, _ = kept.accept()
        with accepted:
            assert accepted.recv(1000) == GET
    served.loop.call_soon_threadsafe(served.server.part)
    wire.say(GET)
    answer = wire.hear()
    assert (answer.status, answer["Connection"]) == (200, "close")
    assert served.stop() is True


def test_answers_that_do_not_end_in_time_are_cut_off(serve: Callable[..., Foreign], sample: Sample) -> None:
    served = serve(drain_timeout=0.3)
    wire = served.wire()
    wire.say(b"POST /slow HTTP/1.1\r\nHost: t\r\n\r\n")
    while not sample.calls:
        time.sleep(0.01)
    served.begin_stop()
    assert closed_after(wire, 8) is not None
    sample.gate.set()
    assert served.stop() is False
