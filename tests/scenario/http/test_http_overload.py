"""More is asked for than can be done: who is turned away, how, and who is not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from http_clients import Answered, Mounted, Served
from http_overload import BODY, COMMAND, GET, POST, SLOW, USUAL, Serve, eventually, said
from http_sample import Sample

from mainstay.inbound.http.admission import Bounds
from mainstay.inbound.http.options import HttpOptions
from mainstay.ports.observer import CallEnded, Notice


@pytest.fixture
def full(serve: Serve, sample: Sample) -> Iterator[Served]:
    """A door with one call in flight, which is all that it takes on, and turnstiles as before a crowded loop."""
    sample.bounds = Bounds(calls=1)
    served = serve()
    served.wire().say(SLOW)
    eventually(lambda: served.door.admission.guarding)
    crowd(served, crowded=True)
    yield served
    sample.gate.set()


def crowd(served: Served, *, crowded: bool) -> None:
    connections = served.server._shared
    served.loop.call_soon_threadsafe(connections.crowd, crowded)
    eventually(lambda: connections.gate.shut is crowded)


def facts(answer: Answered) -> dict[str, str]:
    own = {"x-request-id", "retry-after", "date"}
    return {name.lower(): value for name, value in answer.headers if name.lower() not in own}


@pytest.mark.parametrize("request_", [GET, USUAL, POST + b"\r\n" + BODY], ids=["turnstile", "usual way", "with a body"])
def test_a_call_that_is_too_many_is_turned_away_and_its_connection_goes_on(
    full: Served, sample: Sample, request_: bytes
) -> None:
    wire = full.wire()
    for _ in range(3):
        wire.say(request_)
        answer = wire.hear()
        assert (answer.status, answer.json["code"]) == (503, "overloaded")
        assert answer.json["hint"].startswith("Nothing was done")
        assert answer["Content-Type"] == "application/problem+json"
        assert 1 <= int(answer["Retry-After"]) <= 3
        assert len(answer["X-Request-ID"]) == 22
    assert len(sample.calls) == 1
    sample.gate.set()
    eventually(lambda: not full.door.admission.guarding)
    wire.say(request_)
    assert wire.hear().status < 300


SENT = b"POST /items HTTP/1.1\r\nHost: t\r\n"


@pytest.mark.parametrize(
    ("request_", "at_once"),
    [
        (GET, True),
        (COMMAND, True),
        (SENT + b"Content-Length: 0\r\n\r\n", True),
        (SENT + b"\r\n", True),
        (b"DELETE /items/7 HTTP/1.1\r\nHost: t\r\n\r\n", True),
        (COMMAND[:-1], False),  # its body has not come yet
        (COMMAND + b" ", False),  # something follows it
        (COMMAND + COMMAND, False),
        (GET + GET, False),
        (GET[:-2] + b"Content-Length: 2\r\n\r\n{}", False),
        (SENT + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", False),
        (SENT + b"Content-Length: +2\r\n\r\n{}", False),
        (SENT + b"Content-Length: 02\r\n\r\n{}", False),
        (SENT + b"Content-Length:\t2\r\n\r\n{}", False),
        (SENT + b"Content-Length : 2\r\n\r\n{}", False),
        (SENT + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", False),
        (SENT + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", False),
        (SENT + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n{}", False),
        (SENT + b"Host: u\r\nContent-Length: 2\r\n\r\n{}", False),
        (SENT + b"X-Request-ID: a b\r\nContent-Length: 2\r\n\r\n{}", False),
        (b"GET /hello HTTP/1.1\r\nHost: t u\r\n\r\n", False),
        (b"GET /hello HTTP/1.1\r\nHost:\r\n\r\n", False),
        (GET[:-2] + b"a:\r\n" * 200 + b"\r\n", False),  # more fields than are taken
        (b"HEAD /hello HTTP/1.1\r\nHost: t\r\n\r\n", False),
        (b"get /hello HTTP/1.1\r\nHost: t\r\n\r\n", False),
        (b"GET  /hello HTTP/1.1\r\nHost: t\r\n\r\n", False),
        (b"POST /items HTTP/1.1\nHost: t\r\n\r\n", False),
        (b"POST /nothing HTTP/1.1\r\nHost: t\r\n\r\n", False),
        (b"\r\n\r\n", False),
    ],
)
def test_a_turnstile_answers_only_what_is_plain(full: Served, request_: bytes, at_once: bool) -> None:
    gate = full.server._shared.gate
    for _ in range(2):  # it remembers
        assert (gate.judge(request_) is not None) is at_once


def test_both_ways_say_the_same_of_a_command(full: Served) -> None:
    short, usual = said(full, COMMAND), said(full, POST + b"Origin: https://t.example\r\n\r\n" + BODY)
    assert facts(short) == facts(usual)
    assert short.body == usual.body


def test_both_ways_say_the_same(full: Served) -> None:
    short, usual = said(full, GET), said(full, USUAL)
    assert facts(short) == facts(usual)
    assert short.body == usual.body


def test_not_all_come_back_together(full: Served) -> None:
    assert {said(full, GET)["Retry-After"] for _ in range(16)} == {"1", "2", "3"}


def test_a_command_keeps_the_request_id_that_it_came_with(full: Served) -> None:
    answer = said(full, POST + b"x-request-id:  abc.2 \r\n\r\n" + BODY)
    assert (answer.status, answer["X-Request-ID"]) == (503, "abc.2")


@pytest.mark.parametrize("extra", [b"", b"Origin: https://t.example\r\n"])
def test_the_request_id_is_given_back(full: Served, extra: bytes) -> None:
    head = b"GET /hello HTTP/1.1\r\nHost: t\r\n" + extra
    assert said(full, head + b"X-Request-Id: abc.1\r\n\r\n")["X-Request-ID"] == "abc.1"
    assert said(full, head + b"X-Request-Id: a b\r\n\r\n")["X-Request-ID"] != "a b"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /health HTTP/1.1\r\nHost: t\r\n\r\n", 200),
        (b"GET /ready HTTP/1.1\r\nHost: t\r\n\r\n", 200),
        (b"GET /openapi.json HTTP/1.1\r\nHost: t\r\n\r\n", 200),
        (b"GET /nothing HTTP/1.1\r\nHost: t\r\n\r\n", 404),
        (b"PUT /hello HTTP/1.1\r\nHost: t\r\n\r\n", 405),
        (b"OPTIONS /hello HTTP/1.1\r\nHost: t\r\n\r\n", 204),
        (b"GET /hello HTTP/1.1\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\nHost: t\n\nGET /hello HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\r\nHost: t\r\nContent-Length: 5, 6\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: tea\r\n\r\n", 501),
        (b"GET /hello HTTP/2.7\r\nHost: t\r\n\r\n", 505),
    ],
)
def test_what_is_no_call_is_answered_as_ever(full: Served, request_: bytes, status: int) -> None:
    for _ in range(2):
        assert said(full, request_).status == status


def test_head_gets_no_body(full: Served) -> None:
    wire = full.wire()
    for _ in range(2):
        wire.say(b"HEAD /hello HTTP/1.1\r\nHost: t\r\n\r\n")
        answer = wire.hear("HEAD")
        assert (answer.status, answer.body) == (503, b"")


def test_answers_stay_in_order(full: Served, sample: Sample) -> None:
    health = b"GET /health HTTP/1.1\r\nHost: t\r\n\r\n"
    wire = full.wire()
    wire.say(GET + health + USUAL + health + POST + b"\r\n" + BODY + health)
    assert [wire.hear().status for _ in range(6)] == [503, 200, 503, 200, 503, 200]


def test_a_request_in_pieces(full: Served) -> None:
    wire = full.wire()
    for cut in (1, 20, len(GET) - 2):
        wire.say(GET[:cut])
        time.sleep(0.02)
        wire.say(GET[cut:])
        assert wire.hear().status == 503


def test_a_body_that_is_not_asked_for_any_more_is_not_sent(full: Served) -> None:
    wire = full.wire()
    wire.say(POST + b"Expect: 100-continue\r\n\r\n")
    answer = wire.hear()
    assert (answer.status, answer["Connection"], wire.rest()) == (503, "close", b"")


def test_connection_close_is_obeyed(full: Served) -> None:
    wire = full.wire()
    wire.say(GET[:-2] + b"Connection: close\r\n\r\n")
    assert (wire.hear()["Connection"], wire.rest()) == ("close", b"")


def test_many_are_held_back_for_a_moment_and_answered_all_the_same(full: Served) -> None:
    wires = [full.wire() for _ in range(100)]
    paths = full.door.admission
    for _ in range(3):
        for wire in wires:
            wire.say(GET)
            wire.say(GET)  # while the answer to the first may be held back
        for wire in wires:
            assert [wire.hear().status for _ in range(2)] == [503, 503]
    assert paths.figures().turned_away == {"m.hello": 600}
    for wire in wires:  # who leaves meanwhile is forgotten
        wire.say(GET)
        wire.close()
    eventually(lambda: full.server.connections == 1)
    assert said(full, b"GET /health HTTP/1.1\r\nHost: t\r\n\r\n").status == 200


def test_an_answer_that_is_held_back_is_given_when_it_is_over(full: Served, sample: Sample) -> None:
    wires = [full.wire() for _ in range(150)]
    for wire in wires:
        wire.say(GET)
    crowd(full, crowded=False)
    sample.gate.set()
    statuses = [wire.hear().status for wire in wires]
    assert set(statuses) <= {200, 503}
    eventually(lambda: not full.door.admission.guarding)
    for wire in wires:
        wire.say(GET)
    assert {wire.hear().status for wire in wires} == {200}


def test_it_is_told_once_a_second_and_counted(full: Served, sample: Sample) -> None:
    for _ in range(20):
        said(full, GET)
        said(full, USUAL)
    said(full, POST + b"\r\n" + BODY)
    assert not [one for one in sample.recorder.seen if isinstance(one, CallEnded)]

    def told() -> list[Notice]:
        return [one for one in sample.recorder.seen if isinstance(one, Notice) and one.event == "overloaded"]

    eventually(told)
    assert sum(one.facts["calls"] for one in told()) == 41
    assert len(told()) == 1
    found = full.door.admission.figures()
    assert found.turned_away == {"m.hello": 40, "m.create_item": 1}
    assert (found.overloaded, found.in_flight) == (True, 1)


def test_a_server_that_ends_meanwhile_fails_nobody(full: Served, sample: Sample) -> None:
    wire = full.wire()
    wire.say(GET)
    assert wire.hear().status == 503
    full.begin_stop()
    eventually(lambda: full.door.draining)
    wire.say(GET)
    answer = wire.hear()
    assert (answer.status, answer["Connection"]) == (503, "close")


def test_slow_bodies_take_no_place(serve: Serve, sample: Sample) -> None:
    sample.bounds = Bounds(calls=2)
    served = serve()
    uploads = [served.wire() for _ in range(2)]
    for wire in uploads:
        wire.say(POST + b"\r\n" + BODY[:3])
    eventually(lambda: len(sample.calls) == 2)
    slow = served.wire()
    slow.say(SLOW)
    eventually(lambda: len(sample.calls) == 3)  # there was room for it
    assert said(served, GET).status == 200
    assert said(served, POST + b"\r\n").status == 503  # but none for a third that is to come
    for wire in uploads:
        wire.say(BODY[3:])
        assert wire.hear().status == 201
    assert said(served, POST + b"\r\n" + BODY).status == 201


def test_an_operation_keeps_places_of_its_own(serve: Serve, sample: Sample) -> None:
    sample.bounds = Bounds(calls=16)  # of which each operation has two of its own
    served = serve()
    for _ in range(16):
        served.wire().say(SLOW)
    eventually(lambda: served.door.admission.guarding)
    assert said(served, SLOW).status == 503
    assert said(served, GET).status == 200


async def _race(app: Mounted, requests: list[tuple[str, str, bytes]]) -> list[Answered]:
    tasks = []
    for method, target, body in requests:
        headers = {"Host": "t", "Content-Length": str(len(body))} if body else {"Host": "t"}
        tasks.append(asyncio.create_task(app._ask(method, target, headers, body)))
        await asyncio.sleep(0.02)
    app.sample.gate.set()
    return await asyncio.gather(*tasks)


def test_the_same_as_an_asgi_application(sample: Sample) -> None:
    sample.bounds = Bounds(calls=1)
    app = Mounted(sample, HttpOptions())
    requests = [("POST", "/slow", b""), ("GET", "/hello", b""), ("POST", "/items", BODY), ("GET", "/health", b"")]
    answers = asyncio.run(_race(app, requests))
    assert [answer.status for answer in answers] == [200, 503, 503, 200]
    assert answers[1].json["code"] == "overloaded"
    assert answers[1].all("retry-after")
    assert app.ask("GET", "/hello").status == 200
