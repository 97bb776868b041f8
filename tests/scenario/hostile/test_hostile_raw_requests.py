"""Raw requests on a real socket, between two good ones: each gets its answer, and a refused one ends the connection."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator

import pytest
from http_clients import Answered, Served, Wire
from http_sample import Sample
from raw_requests import AHEAD, BEHIND, CASES, Raw

from mainstay.inbound.http.options import HttpOptions

cases = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    """The door on a socket."""
    made = Served(Sample(), HttpOptions(linger=0.05), request.param)
    yield made
    made.stop()


def answers(wire: Wire, case: Raw) -> list[Answered]:
    """Read the answers to a good request, to the case, and to what stands behind it."""
    method = "HEAD" if case.data.startswith(b"HEAD") else "GET"
    found = [wire.hear(), wire.hear(method)]
    if case.ends:
        assert found[1]["connection"] == "close"
        assert wire.rest() == b""
    else:
        found.append(wire.hear())
    return found


def check(served: Served, case: Raw, found: list[Answered]) -> None:
    """Check what a case was answered, and that nothing ran that must not."""
    ahead, here, *behind = found
    assert (ahead.status, ahead.json) == (200, {"id": "ahead"})
    assert here.status == case.status, here.body
    if here.status >= 400:
        assert here["content-type"] == "application/problem+json"
        assert here.json["status"] == case.status
    assert [one.json for one in behind] == ([] if case.ends else [{"id": "behind"}])
    ran = [call.target for call in served.sample.calls]
    served.sample.calls.clear()
    assert ran.count("/items/behind") == len(behind)
    assert not [target for target in ran if target not in ("/items/ahead", "/items/behind", "/hello", "/items")]


@cases
def test_a_raw_request_gets_its_answer(served: Served, case: Raw) -> None:
    wire = served.wire()
    wire.say(AHEAD + case.data + BEHIND)
    check(served, case, answers(wire, case))
    wire.close()
    in_pieces(served, case)


def in_pieces(served: Served, case: Raw) -> None:
    """Send the same in pieces."""
    if case.name == "a chunked body of a query":
        return  # it is answered before the body is here, and a body of unknown length is not waited for
    wire = served.wire()
    wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = AHEAD + case.data + BEHIND
    places = sorted(random.Random(case.name).sample(range(len(AHEAD), len(data)), 3))
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        try:
            wire.say(data[start:end])
        except (BrokenPipeError, ConnectionResetError):
            assert case.ends
            break
        time.sleep(0.001)
    check(served, case, answers(wire, case))
    wire.close()


def test_random_bytes_end_the_connection(served: Served) -> None:
    noise = random.Random(7)
    for size in (1, 2, 10, 100, 1000, 20_000):
        wire = served.wire()
        wire.say(b"\x00" + noise.randbytes(size))
        assert wire.hear().status == 400
        assert wire.rest() == b""
    assert served.sample.calls == []
