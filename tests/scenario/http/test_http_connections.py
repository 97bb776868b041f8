"""Connections: what is kept, pipelined, bounded, timed and refused on a socket."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from http_clients import Served
from http_sample import Sample

Serve = Callable[..., Served]

GET = b"GET /hello HTTP/1.1\r\nHost: t\r\n\r\n"
LONG = GET[:-2] + b"X-Pad: " + b"x" * 8000 + b"\r\n\r\n"
POST = b"POST /items HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
BODY = b'{"name":"a"}'


def eventually(check: Callable[[], Any], seconds: float = 3.0) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.005)


def test_a_connection_is_kept(serve: Serve) -> None:
    served = serve()
    wire = served.wire()
    for _ in range(3):
        wire.say(GET)
        answer = wire.hear()
        assert (answer.status, "Connection" in answer) == (200, False)
        assert answer["Date"].endswith(" GMT")
    assert served.server.connections == 1


def test_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    wire = serve().wire()
    requests = [b"GET /items/%d HTTP/1.1\r\nHost: t\r\n\r\n" % n for n in range(50)]
    requests[7] = POST + b"Content-Length: 12\r\n\r\n" + BODY
    requests[9] = b"GET /ticker?n=2 HTTP/1.1\r\nHost: t\r\n\r\n"
    requests[11] = POST + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"nam\r\n7;x=1\r\ne":"a"}\r\n0\r\nX-T: 1\r\n\r\n'
    wire.say(b"".join(requests))
    answers = [wire.hear() for _ in requests]
    assert [a.json["id"] for n, a in enumerate(answers) if n not in (7, 9, 11)] == [
        str(n) for n in range(50) if n not in (7, 9, 11)
    ]
    assert (answers[7].status, answers[11].status) == (201, 201)
    assert answers[9].body == b'{"n":0}\n{"n":1}\n'


def test_requests_behind_a_slow_one_wait_for_it(serve: Serve, sample: Sample) -> None:
    wire = serve().wire()
    wire.say(b"POST /slow HTTP/1.1\r\nHost: t\r\n\r\n" + GET)
    eventually(lambda: sample.calls)
    wire.say(GET)
    time.sleep(0.05)
    assert [call.target for call in sample.calls] == ["/slow"]
    sample.gate.set()
    assert [wire.hear().json for _ in range(3)] == [{"slow": True}, {"hello": "world"}, {"hello": "world"}]


def test_a_client_that_sends_ahead_is_held_back(serve: Serve, sample: Sample) -> None:
    served = serve(max_held_bytes=4096)
    wire = served.wire()
    wire.say(b"POST /slow HTTP/1.1\r\nHost: t\r\n\r\n")
    eventually(lambda: sample.calls)
    wire.socket.settimeout(0.3)
    sent = 0
    with pytest.raises(TimeoutError):
        while True:
            sent += wire.socket.send(LONG * 12)
    (connection,) = served.server._shared.open
    assert connection._held.size < 600_000  # one read of the loop beyond the bound
    assert len(sample.calls) == 1
    sample.gate.set()
    wire.socket.settimeout(5)
    assert wire.hear().json == {"slow": True}
    assert wire.count(b'{"hello":"world"}', sent // len(LONG))


@pytest.mark.parametrize("pieces", [1, 7])
def test_a_request_may_come_in_pieces(serve: Serve, pieces: int) -> None:
    wire = serve().wire()
    request = POST + b"Content-Length: 12\r\n\r\n" + BODY
    for start in range(0, len(request), pieces):
        wire.say(request[start : start + pieces])
        time.sleep(0.0005)
    assert wire.hear().json == {"name": "a"}


def test_connection_close_and_http_1_0(serve: Serve) -> None:
    served = serve()
    for request in (GET[:-2] + b"Connection: close\r\n\r\n", b"GET /hello HTTP/1.0\r\n\r\n"):
        wire = served.wire()
        wire.say(request)
        assert (wire.hear()["Connection"], wire.rest()) == ("close", b"")
    wire = served.wire()
    wire.say(b"GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2)
    assert (wire.hear()["Connection"], wire.hear().status) == ("keep-alive", 200)
    wire = served.wire()
    wire.say(b"GET /ticker?n=1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    answer = wire.hear()
    assert (answer.body, answer["Connection"], "Transfer-Encoding" in answer) == (b'{"n":0}\n', "close", False)


def test_the_body_is_asked_for_only_when_it_is_wanted(serve: Serve) -> None:
    served = serve()
    head = POST + b"Content-Length: 12\r\nExpect: 100-continue\r\n"
    wire = served.wire()
    wire.say(head + b"\r\n")
    assert wire.hear().status == 100
    wire.say(BODY)
    assert wire.hear().status == 201
    wire.say(head + b"\r\n" + BODY)
    assert wire.hear().status == 201
    refused = {b"Authorization: Bearer bad\r\n": 401, b"Accept: text/html\r\n": 406}
    for extra, status in refused.items():
        wire = served.wire()
        wire.say(head + extra + b"\r\n")
        assert (wire.hear().status, wire.rest()) == (status, b"")
    wire = served.wire()
    wire.say(POST + b"Content-Length: 12\r\nExpect: tea\r\n\r\n")
    assert wire.hear().status == 417


def test_a_body_over_its_bound_is_refused_before_it_is_read(serve: Serve) -> None:
    wire = serve().wire()
    wire.say(POST + b"Content-Length: 1048577\r\n\r\n")
    answer = wire.hear()
    assert (answer.status, answer["Connection"]) == (413, "close")


def test_a_chunked_body_is_counted(serve: Serve) -> None:
    wire = serve(max_body_bytes=1000).wire()
    wire.say(POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"200\r\n" + b"x" * 512 + b"\r\n")
    time.sleep(0.02)
    wire.say(b"200\r\n" + b"x" * 512 + b"\r\n")
    answer = wire.hear()
    assert (answer.status, answer["Connection"], answer.json["code"]) == (413, "close", "too_large")


def test_chunks_that_carry_next_to_nothing_are_refused(serve: Serve) -> None:
    wire = serve().wire()
    wire.say(POST + b"Transfer-Encoding: chunked\r\n\r\n")
    wire.say((b"1;" + b"e" * 5000 + b"\r\nx\r\n") * 20)
    assert wire.hear().status == 400


def test_the_connection_goes_on_behind_a_small_body_that_nobody_reads(serve: Serve) -> None:
    wire = serve().wire()
    wire.say(POST + b"Authorization: Bearer bad\r\nContent-Length: 12\r\n\r\n")
    assert wire.hear().status == 401
    wire.say(BODY + GET)
    assert wire.hear().json == {"hello": "world"}


def test_an_answer_is_seen_though_its_request_was_not_read(serve: Serve) -> None:
    wire = serve().wire()
    wire.say(POST + b"Authorization: Bearer bad\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 300_000)
    answer = wire.hear()
    assert (answer.status, answer["Connection"]) == (401, "close")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"hello\r\n\r\n", 400),
        (b"BREW /pot HTTP/1.1\r\nHost: t\r\n\r\n", 501),
        (b"GET /hello HTTP/1.1\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /hello HTTP/1.2\r\nHost: t\r\n\r\n", 505),
        (b"GET /hello HTTP/2.0\r\nHost: t\r\n\r\n", 505),
        (b"GET /hello HTTP/1.1\r\nHost: t\r\nA: b\r\n c\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\r\nHost: t\r\nA : b\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\nHost: t\n\n", 400),
        (b"GET /h\x80llo HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        (b"GET hello HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        (b"CONNECT t:80 HTTP/1.1\r\nHost: t\r\n\r\n", 501),
        (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (POST + b"Content-Length: -1\r\n\r\n", 400),
        (POST + b"Content-Length: 12\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (POST + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: t\r\n\r\n", 414),
        (b"GET /" + b"x" * 9000, 414),
        (b"GET / HTTP/1.1\r\nHost: t\r\nX: " + b"x" * 50_000, 431),
    ],
)
def test_what_is_not_well_formed_is_refused_and_ends_the_connection(
    serve: Serve, sample: Sample, request_: bytes, status: int
) -> None:
    wire = serve().wire()
    wire.say(GET)
    assert wire.hear().status == 200
    wire.say(request_)
    answer = wire.hear()
    assert (answer.status, answer["Content-Type"]) == (status, "application/problem+json")
    assert (answer["Connection"], answer.json["status"]) == ("close", status)
    assert answer["X-Request-ID"]
    assert wire.rest() == b""
    assert sample.recorder.seen[-1].kind is not None
    assert len(sample.recorder.seen) == 2


def test_a_fragment_in_the_target_is_malformed(serve: Serve) -> None:
    wire = serve().wire()
    wire.say(b"GET /hello#x HTTP/1.1\r\nHost: t\r\n\r\n")
    assert wire.hear().json["code"] == "path_malformed"


def test_what_is_ahead_of_a_fault_is_answered_first(serve: Serve) -> None:
    wire = serve().wire()
    wire.say(GET * 3 + b"\x16\x03\x01")
    assert [wire.hear().status for _ in range(4)] == [200, 200, 200, 400]
    assert wire.rest() == b""


def test_what_follows_the_last_request_is_not_looked_at(serve: Serve, sample: Sample) -> None:
    wire = serve().wire()
    wire.say(GET[:-2] + b"Connection: close\r\n\r\n" + GET + b"\x00")
    assert (wire.hear().status, wire.rest()) == (200, b"")
    assert len(sample.calls) == 1


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 12\r\n\r\n" + BODY, b"Transfer-Encoding: chunked\r\n\r\nc\r\n" + BODY + b"\r\n0\r\n\r\n"],
)
def test_an_upgrade_is_not_taken_up(serve: Serve, framing: bytes) -> None:
    served = serve()
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    wire = served.wire()
    wire.say(GET[:-2] + upgrade + b"\r\n" + GET)
    assert [wire.hear().status, wire.hear().status] == [200, 200]
    wire = served.wire()
    wire.say(POST + upgrade + framing + GET)
    answer = wire.hear()
    assert (answer.status, answer.json) == (201, {"name": "a"})
    assert wire.hear().json == {"hello": "world"}


def test_a_peer_that_is_a_listed_proxy_is_believed(serve: Serve, sample: Sample) -> None:
    served = serve(trusted_proxies=("127.0.0.1",))
    served.ask("GET", "/hello", {"X-Forwarded-For": "203.0.113.7"})
    served.ask("GET", "/hello")
    assert [call.peer for call in sample.calls] == ["203.0.113.7", "127.0.0.1"]


def test_a_peer_that_is_not_listed_is_not_believed(serve: Serve, sample: Sample) -> None:
    serve().ask("GET", "/hello", {"X-Forwarded-For": "203.0.113.7"})
    assert sample.calls[0].peer == "127.0.0.1"


def test_there_is_no_100_in_http_1_0(serve: Serve) -> None:
    wire = serve().wire()
    wire.say(POST.replace(b"1.1", b"1.0") + b"Content-Length: 12\r\nExpect: 100-continue\r\n\r\n")
    time.sleep(0.05)
    wire.say(BODY)
    assert (wire.hear().status, wire.rest()) == (201, b"")


def test_an_absolute_target_names_the_host(serve: Serve, sample: Sample) -> None:
    wire = serve().wire()
    wire.say(b"GET http://u:80/items/7?fields=id HTTP/1.1\r\nHost: t\r\n\r\n")
    answer = wire.hear()
    assert (answer.status, answer.json) == (200, {"id": "7"})
    assert (sample.calls[0].target, sample.calls[0].query) == ("/items/7", [("fields", "id")])
    assert sample.calls[0].headers("host") == "u:80"


def test_one_request_is_read_ahead(serve: Serve, sample: Sample) -> None:
    served = serve()
    wire = served.wire()
    wire.say(b"POST /slow HTTP/1.1\r\nHost: t\r\n\r\n" + GET * 200)
    eventually(lambda: sample.calls)
    (connection,) = served.server._shared.open
    time.sleep(0.05)
    assert (len(connection._intake.ready), len(sample.calls)) == (0, 1)
    assert connection._held.size == len(GET) * 200
    sample.gate.set()
    assert wire.hear().json == {"slow": True}
    assert [wire.hear().status for _ in range(200)] == [200] * 200
