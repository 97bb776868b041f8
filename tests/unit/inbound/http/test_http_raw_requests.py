"""What becomes of a raw request does not depend on how it is cut, nor on what stands before it."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import httptools
import pytest
from http_sample import Sample
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_requests import AHEAD, BEHIND, CASES, Raw

from mainstay.inbound.http.intake import Intake
from mainstay.inbound.http.options import HttpOptions
from mainstay.model.problem import Problem

DOOR = Sample().door(HttpOptions())
cases = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


class Heard:
    """What came of the bytes that were sent: an entry for each request, the last for a fault."""

    def __init__(self, *pieces: bytes) -> None:
        self.intake = Intake(DOOR, "127.0.0.1")
        for piece in pieces:
            at = 0
            while at < len(piece):
                at = self.intake.parse(piece, at)
        self.requests = [_told(exchange, exchange is self.intake.fault) for exchange in self._answered()]

    def _answered(self) -> list[Any]:
        found = list(self.intake.ready)
        for number, exchange in enumerate(found):  # behind one that ends the connection nothing is answered
            if exchange.closing:
                return found[: number + 1]
        return found if self.intake.fault is None else [*found, self.intake.fault]


def _told(exchange: Any, fault: bool) -> tuple[Any, ...]:
    if fault:
        return (b"-", b"", {}, None, exchange.answer.status, exchange.closing)
    body = status = None
    if exchange.inflow is not None:
        try:
            body = exchange.inflow.take() if exchange.inflow.complete or exchange.inflow.over else "not all of it"
        except Problem as problem:
            body = problem.kind
    if exchange.answer is not None:
        status = exchange.answer.status
    return (exchange.method, exchange.path, exchange.headers, body, status, exchange.closing)


def cut(data: bytes, *edges: int) -> list[bytes]:
    ends = [0, *sorted(edges), len(data)]
    return [data[a:b] for a, b in pairwise(ends) if a < b]


def edges_of(data: bytes) -> list[int]:
    """Return every edge of a short request, and some of a long one."""
    return list(range(1, len(data))) if len(data) < 600 else list(range(1, len(data), len(data) // 40))


@cases
def test_a_raw_request_is_the_same_however_it_is_cut(case: Raw) -> None:
    data = AHEAD + case.data + BEHIND
    whole = Heard(data).requests
    assert len(whole) == (2 if case.ends else 3), whole
    assert whole[1][5] is case.ends
    for edge in edges_of(data):
        assert Heard(*cut(data, edge)).requests == whole, (edge, data[max(0, edge - 30) : edge])
    few = random.Random(case.name)
    for _ in range(5):
        assert Heard(*cut(data, *few.sample(range(1, len(data)), 5))).requests == whole
    _byte_by_byte(case.data + BEHIND)
    if not case.ends:
        _as_another_parser(case.data)


def _byte_by_byte(data: bytes) -> None:
    if len(data) > 2000:
        pieces = [data[start : start + 97] for start in range(0, len(data), 97)]
    else:
        pieces = [data[place : place + 1] for place in range(len(data))]
    assert Heard(*pieces).requests == Heard(data).requests


class Llhttp:
    """The parser as it is when nobody looks over its shoulder."""

    def __init__(self, data: bytes) -> None:
        self.requests: list[tuple[bytes, bytes, bytes]] = []
        self._url, self._body = b"", b""
        self.failed = False
        self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.requests += Llhttp(data[upgrade.args[0] :]).requests  # no other protocol follows
        except httptools.HttpParserError:
            self.failed = True

    def on_message_begin(self) -> None:
        self._url, self._body = b"", b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        self.requests.append((self._parser.get_method(), self._url, self._body))


def _as_another_parser(data: bytes) -> None:
    heard = Heard(data)
    other = Llhttp(data)
    assert not other.failed
    assert [one[0] for one in other.requests] == [one[0] for one in heard.requests]
    for (_, _, body), one in zip(other.requests, heard.requests, strict=True):
        assert one[3] in (None, b"", body)  # b"": it is not for anybody


GOOD = [case.data for case in CASES if not case.ends and len(case.data) < 400]
PIECES = [
    *(b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b"\x00", b"\x0b", b":", b";", b",", b"0", b"c", b"#", b"\x80"),
    *(
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Host: u\r\n",
        b"GET /items/x HTTP/1.1\r\n",
        b"HTTP/1.1",
    ),
]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(GOOD), st.lists(st.tuples(st.integers(0, 400), st.sampled_from(PIECES)), max_size=3), st.data())
def test_whatever_is_put_in_the_cut_does_not_matter(
    good: bytes, put: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    made = good
    for place, piece in put:
        made = made[: place % len(made)] + piece + made[place % len(made) :]
    made += BEHIND
    whole = Heard(made).requests
    edges = data.draw(st.lists(st.integers(1, len(made) - 1), max_size=6, unique=True))
    assert Heard(*cut(made, *edges)).requests == whole
    other = Llhttp(made)
    taken = [one for one in whole if not one[5]]
    assert [one[0] for one in taken] == [one[0] for one in other.requests[: len(taken)]], "the parser disagrees"
