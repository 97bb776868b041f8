"""Raw requests on a real socket, between two good ones: each gets its answer, and a refused one ends the connection."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator

import pytest
from http_clients import Answered, Served, Wire
from http_overload import eventually
from http_sample import Sample
from raw_requests import AHEAD, BEHIND, CASES, Raw

from mainstay.inbound.http.admission import Admission, Bounds
from mainstay.inbound.http.options import HttpOptions

cases = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


@pytest.fixture(scope="module", params=["asyncio", "uvloop", "turnstiles"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    """The door on a socket; one has the turnstiles of an overload before its connections, which let all pass."""
    behind = request.param == "turnstiles"
    made = Served(Sample(), HttpOptions(linger=0.05), "uvloop" if behind else request.param)
    if behind:
        crowd(made)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def full() -> Iterator[Served]:
    """A door that has no room for a call, and turnstiles before its connections."""
    sample = Sample()
    sample.bounds = Bounds(calls=1)
    made = Served(sample, HttpOptions(linger=0.05), "uvloop")
    made.loop.call_soon_threadsafe(fill, made.door.admission)  # a call of its own would come to its deadline
    eventually(lambda: made.door.admission.guarding)
    crowd(made)
    yield made
    made.stop()


def fill(admission: Admission) -> None:
    admission._in_flight = 1
    admission._change()


def crowd(served: Served) -> None:
    served.loop.call_soon_threadsafe(served.server._shared.crowd, True)
    eventually(lambda: served.server._shared.gate.shut)


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


@cases
def test_a_raw_request_ends_where_it_ends_for_a_turnstile_too(full: Served, case: Raw) -> None:
    """Told or turned away, nothing of it is taken for a request of its own, and what must end the connection does."""
    wire = full.wire()
    wire.say(AHEAD)
    assert wire.hear().status == 503
    wire.say(case.data)
    here = wire.hear("HEAD" if case.data.startswith(b"HEAD") else "GET")
    assert here.status in ((503, case.status) if case.status >= 400 else (503, 200, 204))
    if case.ends:
        assert here["connection"] == "close"
        assert wire.rest() == b""
    else:
        wire.say(BEHIND)
        answer = wire.hear()
        assert (answer.status, answer.json["code"]) == (503, "overloaded")
    wire.close()
    assert not full.sample.calls


@cases
def test_a_raw_request_gets_its_answer_where_it_is_the_first(served: Served, case: Raw) -> None:
    wire = served.wire()
    wire.say(case.data + BEHIND)
    here = wire.hear("HEAD" if case.data.startswith(b"HEAD") else "GET")
    assert here.status == case.status, here.body
    assert ("close" in here.all("connection")) is case.ends
    if case.ends:
        assert wire.rest() == b""
    else:
        assert wire.hear().json == {"id": "behind"}
    wire.close()
    served.sample.calls.clear()


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
