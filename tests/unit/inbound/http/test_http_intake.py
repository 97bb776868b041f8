"""However input is cut, the same exchanges come of it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from http_sample import Sample
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.inbound.http.intake import Intake
from mainstay.inbound.http.options import HttpOptions

HEAD = b"POST /items HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
STREAM = (
    b"GET /items/1?fields=id HTTP/1.1\r\nHost: t\r\nX-A: 1\r\nx-a: 2\r\nX-Request-ID: fixed\r\n\r\n"
    + HEAD
    + b'Content-Length: 12\r\nX-Request-ID: fixed\r\n\r\n{"name":"a"}'
    + HEAD
    + b'Transfer-Encoding: chunked\r\nX-Request-ID: fixed\r\n\r\n4\r\n{"na\r\n8;e=1\r\nme":"b"}\r\n'
    + b"0\r\nX-Trailer: no\r\nHost: u\r\n\r\n"
    + b"GET /nope HTTP/1.1\r\nHost: t\r\nX-Request-ID: fixed\r\n\r\n"
    + b"GET /hello HTTP/1.1\r\nHost: t\r\nConnection: close\r\nX-Request-ID: fixed\r\n\r\n"
)


def feed(intake: Intake, piece: bytes) -> None:
    at = 0
    while at < len(piece):
        before, at = at, intake.parse(piece, at)
        assert before < at


def facts(pieces: list[bytes], **options: Any) -> list[Any]:
    intake = Intake(Sample().door(HttpOptions(**options)), "127.0.0.1")
    for piece in pieces:
        feed(intake, piece)
    found: list[Any] = []
    for one in intake.ready:
        body = one.inflow.take() if one.inflow is not None and one.inflow.complete else None
        status = None if one.answer is None else one.answer.status
        found.append((one.method, one.path, sorted(one.headers.items()), body, status, one.closing))
    if intake.fault is not None and intake.fault.answer is not None:
        found.append(intake.fault.answer.status)
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_the_cuts_do_not_matter(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in pairwise(edges) if a != b]
    assert facts(pieces) == facts([STREAM])


def test_what_the_exchanges_are() -> None:
    found = facts([STREAM])
    assert [one[3] for one in found] == [None, b'{"name":"a"}', b'{"name":"b"}', None, None]
    assert [one[4] for one in found] == [None, None, None, 404, None]
    assert [one[5] for one in found] == [False, False, False, False, True]
    assert (b"x-a", b"1, 2") in found[0][2]
    assert not [name for name, _ in found[2][2] if name == b"x-trailer"]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.integers(0, len(STREAM)))
def test_any_bytes_are_taken_or_refused(noise: bytes, at: int) -> None:
    facts([STREAM[:at] + noise, STREAM[at:]])


@pytest.mark.parametrize(
    ("endless", "status"),
    [
        (b"GET /" + b"x" * 200_000, 414),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(20_000)), 431),
        (b"\r\n" * 100_000, 400),
    ],
)
def test_a_head_without_end_is_given_up(endless: bytes, status: int) -> None:
    pieces = [endless[start : start + 1000] for start in range(0, len(endless), 1000)]
    intake = Intake(Sample().door(HttpOptions()), "127.0.0.1")
    taken = 0
    for piece in pieces:
        if intake.closed:
            break
        intake.parse(piece)
        taken += len(piece)
    assert intake.fault is not None
    assert intake.fault.answer is not None
    assert intake.fault.answer.status == status
    assert taken < 60_000


def test_trailers_without_end_are_given_up() -> None:
    intake = Intake(Sample().door(HttpOptions()), "127.0.0.1")
    feed(intake, HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
    for number in range(200):
        feed(intake, b"X-%d: " % number + b"x" * 1000 + b"\r\n")
    assert intake.closed
    assert intake.ready[0].closing
