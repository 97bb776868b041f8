"""The two sides of the bridge to a mounted application: what it receives, and what it sends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mainstay.inbound.http.body import Inflow
from mainstay.inbound.http.exchange import Answer
from mainstay.inbound.http.incoming import Incoming
from mainstay.inbound.http.outgoing import Fields, Outgoing, field_lines
from mainstay.model.problem import Malformed, Problem

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]}


class Sent:
    """An ``Outgoing`` and what it tells."""

    def __init__(self, method: str = "GET") -> None:
        self.answers: list[Answer] = []
        self.told: list[str] = []
        self.outgoing = Outgoing(
            method,
            head=self.head,
            answer=self.answers.append,
            completed=lambda: self.told.append("completed"),
            left=lambda: self.told.append("left"),
        )

    def head(self, fields: Fields) -> bytes:
        return field_lines(fields)

    async def start(self, status: Any = 200, *headers: tuple[bytes, bytes]) -> None:
        await self.outgoing.send({"type": "http.response.start", "status": status, "headers": headers})

    async def body(self, body: bytes, more: bool = False) -> None:
        await self.outgoing.send({"type": "http.response.body", "body": body, "more_body": more})


async def rest(answer: Answer) -> bytes:
    assert answer.stream is not None
    return b"".join([part async for part in answer.stream])


async def test_an_answer_in_one_piece() -> None:
    sent = Sent()
    await sent.start(201, (b"X-A", b" 1 "), (b"Connection", b"close"), (b"content-length", b"2"))
    assert sent.answers == [], "it begins with its body"
    await sent.body(b"ab")
    (answer,) = sent.answers
    assert (answer.status, answer.head, answer.body, answer.stream) == (201, b"X-A: 1\r\n", b"ab", None)
    assert sent.told == ["completed"]


async def test_parts_wait_for_who_takes_them() -> None:
    sent = Sent()
    await sent.start()
    putting = asyncio.create_task(sent.body(b"one", more=True))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not putting.done()
    stream = sent.answers[0].stream
    assert stream is not None
    assert await anext(stream) == b"one"
    await putting
    await sent.body(b"two")
    assert await rest(sent.answers[0]) == b"two"
    assert sent.told == ["completed"]


async def test_who_takes_no_more_ends_it() -> None:
    sent = Sent()
    await sent.start()
    putting = asyncio.create_task(sent.body(b"one", more=True))
    await asyncio.sleep(0)
    await sent.answers[0].stream.aclose()  # type: ignore[union-attr]  # it is a stream
    assert sent.told == ["left"]
    sent.outgoing.leave()
    with pytest.raises(OSError, match="left"):
        await putting
    with pytest.raises(OSError, match="left"):
        await sent.body(b"two")


async def test_an_answer_that_fails_is_cut_off() -> None:
    sent = Sent()
    await sent.start()
    putting = asyncio.create_task(sent.body(b"one", more=True))
    await asyncio.sleep(0)
    assert sent.outgoing.fail(ValueError("broken"))
    with pytest.raises(ConnectionAbortedError):
        await rest(sent.answers[0])
    await putting
    assert not Sent().outgoing.fail(ValueError("broken")), "none had begun"


@pytest.mark.parametrize(("declared", "parts"), [(b"3", [b"ab"]), (b"3", [b"ab", b"cd"]), (b"0", [b"a"])])
async def test_a_body_that_is_not_as_long_as_it_says(declared: bytes, parts: list[bytes]) -> None:
    sent = Sent()
    await sent.start(200, (b"Content-Length", declared))
    with pytest.raises(RuntimeError, match="Content-Length"):
        for number, part in enumerate(parts, 1):
            sending = asyncio.create_task(sent.body(part, more=number < len(parts)))
            await asyncio.sleep(0)
            if sent.answers and sent.answers[0].stream is not None and not sending.done():
                await anext(sent.answers[0].stream)
            await sending


@pytest.mark.parametrize("lengths", [[b"3", b"4"], [b"+3"], [b"3, 3"], [b""], [b"x"]])
async def test_a_length_that_is_none(lengths: list[bytes]) -> None:
    with pytest.raises(RuntimeError, match="Content-Length"):
        await Sent().start(200, *((b"content-length", length) for length in lengths))


async def test_a_known_length_is_kept() -> None:
    sent = Sent()
    await sent.start(200, (b"content-length", b"4"))
    putting = asyncio.create_task(sent.body(b"ab", more=True))
    await asyncio.sleep(0)
    assert sent.answers[0].length == 4
    taking = asyncio.create_task(rest(sent.answers[0]))
    await putting
    await sent.body(b"cd")
    assert await taking == b"abcd"


@pytest.mark.parametrize(
    ("method", "status", "headers", "length"),
    [
        ("HEAD", 200, [(b"content-length", b"9")], 9),
        ("HEAD", 200, [], 2),
        ("GET", 204, [], None),
        ("GET", 304, [(b"content-length", b"9")], None),
    ],
)
async def test_answers_without_a_body(method: str, status: int, headers: list[Any], length: int | None) -> None:
    sent = Sent(method)
    await sent.start(status, *headers)
    await sent.body(b"ab")
    (answer,) = sent.answers
    assert (answer.status, answer.body, answer.length) == (status, b"", length)


async def test_a_head_whose_application_sends_in_parts() -> None:
    sent = Sent("HEAD")
    await sent.start()
    for _ in range(3):
        await sent.body(b"a", more=True)  # nobody is waited for
    await sent.body(b"")
    assert (len(sent.answers), sent.told) == (1, ["completed"])


@pytest.mark.parametrize("status", [101, 199, 600, "200", None])
async def test_a_status_that_is_none(status: Any) -> None:
    with pytest.raises(RuntimeError, match="from 200 to 599"):
        await Sent().start(status)


async def test_events_out_of_order() -> None:
    sent = Sent()
    with pytest.raises(RuntimeError, match="not begun"):
        await sent.body(b"a")
    with pytest.raises(RuntimeError, match=r"no http\.response\.push"):
        await sent.outgoing.send({"type": "http.response.push"})
    await sent.start()
    with pytest.raises(RuntimeError, match="already"):
        await sent.start()
    await sent.body(b"a")
    with pytest.raises(RuntimeError, match="complete"):
        await sent.body(b"a")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"a", b"b\r\nc: d"),
        (b"a", b"b\n"),
        (b"a", b"\x00"),
        (b"a", b"\x7f"),
        (b"a b", b"c"),
        (b"", b"c"),
        (b"a:", b"c"),
    ],
)
def test_a_header_cannot_make_another(name: bytes, value: bytes) -> None:
    with pytest.raises(RuntimeError, match="header"):
        field_lines([(name, value)])


def test_headers_of_the_connection_are_ours() -> None:
    ours = [(name, b"x") for name in (b"Connection", b"TRANSFER-ENCODING", b"Date", b"Keep-Alive", b"X-Request-ID")]
    assert field_lines([*ours, (b"Set-Cookie", b"a"), (b"Set-Cookie", b"b\xe9")]) == (
        b"Set-Cookie: a\r\nSet-Cookie: b\xe9\r\n"
    )


async def test_a_body_is_received_as_it_arrives() -> None:
    inflow, gone, failed = Inflow(10, window=4), asyncio.Event(), list[Problem]()
    incoming = Incoming(inflow, gone, failed.append)
    inflow.feed(b"ab")
    assert await incoming.receive() == {"type": "http.request", "body": b"ab", "more_body": True}
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(incoming.receive(), 0.01)
    inflow.feed(b"cd")
    inflow.finish()
    assert (await incoming.receive())["body"] == b"cd", "one that was cancelled has lost nothing"
    assert await incoming.receive() == {"type": "http.request", "body": b"", "more_body": False}
    waiting = asyncio.create_task(incoming.receive())
    await asyncio.sleep(0)
    assert not waiting.done()
    gone.set()
    assert await waiting == {"type": "http.disconnect"}


async def test_a_body_that_cannot_be_had() -> None:
    inflow, failed = Inflow(10, window=4), list[Problem]()
    incoming = Incoming(inflow, asyncio.Event(), failed.append)
    inflow.fail(Malformed("broken"))
    assert await incoming.receive() == {"type": "http.disconnect"}
    assert [str(problem) for problem in failed] == ["broken"]


async def test_a_body_that_was_let_go_of_has_no_end() -> None:
    inflow = Inflow(10, window=4)
    incoming = Incoming(inflow, asyncio.Event(), lambda _: None)
    inflow.feed(b"ab")
    inflow.drop()
    inflow.finish()
    assert await incoming.receive() == {"type": "http.disconnect"}
