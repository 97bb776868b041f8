"""The answer of a mounted application: what it sends, as the door has it."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from mainstay.inbound.http.exchange import Answer
from mainstay.inbound.http.mounts import Message

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_FRAMING = frozenset(
    {
        b"connection",
        b"content-length",
        b"date",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"x-request-id",
    }
)
"""Fields that are the connection's or the door's (RFC 9110, section 7.6.1): an application's own are left out."""

Fields = list[tuple[bytes, bytes]]


class Handover:
    """Parts of a body from who writes them to who sends them, one at a time: who writes waits until it was taken."""

    def __init__(self, left: Callable[[], None]) -> None:
        self._left = left
        self._parts: deque[bytes] = deque()
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = False
        self._error: BaseException | None = None

    async def put(self, part: bytes) -> None:
        """Give a part, and wait until it was taken or nobody takes any more."""
        self._parts.append(part)
        self._filled.set()
        self._room.clear()
        await self._room.wait()

    def end(self, last: bytes = b"", error: BaseException | None = None) -> None:
        """Give the last part, or say why there is none."""
        if last:
            self._parts.append(last)
        self._ended, self._error = True, error
        self._filled.set()

    def leave(self) -> None:
        """Nobody takes any more."""
        self._parts.clear()
        self._room.set()

    def __aiter__(self) -> Handover:
        return self

    async def __anext__(self) -> bytes:
        while not self._parts:
            if self._ended:
                if self._error is not None:
                    raise ConnectionAbortedError("the application ended before its answer did") from self._error
                raise StopAsyncIteration
            self._filled.clear()
            await self._filled.wait()
        part = self._parts.popleft()
        if not self._parts:
            self._room.set()
        return part

    async def aclose(self) -> None:
        """Take no more."""
        self._left()


class Outgoing:
    """The ``send`` of one request. ``answer`` is called with the answer as soon as it has begun.

    ``head`` makes the header lines of the answer of the application's fields; ``completed`` is called when the
    application has sent all, ``left`` when nobody takes the rest of a body. Raises ``OSError`` where the client has
    left, ``RuntimeError`` for what is no answer.
    """

    def __init__(
        self,
        method: str,
        *,
        head: Callable[[Fields], bytes],
        answer: Callable[[Answer], None],
        completed: Callable[[], None],
        left: Callable[[], None],
    ) -> None:
        self._bodyless = method == "HEAD"
        self._make_head = head
        self._answer = answer
        self._completed = completed
        self._left = left
        self._head: bytes | None = None
        self._stream: Handover | None = None
        self._length: int | None = None
        self._sent = 0
        self._begun = False
        self.status = 0
        self.complete = False
        self.gone = False

    async def send(self, message: Message) -> None:
        """Take an event of the application."""
        if self.gone:
            raise OSError("the client has left")
        kind = message["type"]
        if kind == "http.response.start":
            self._start(message["status"], list(message.get("headers", ())))
        elif kind == "http.response.body":
            await self._body(bytes(message.get("body", b"")), bool(message.get("more_body", False)))
        else:
            raise RuntimeError(f"an answer has no {kind}")

    def _start(self, status: Any, fields: Fields) -> None:
        if self._head is not None:
            raise RuntimeError("the answer was begun already")
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise RuntimeError(f"status {status!r}: expected a number from 200 to 599")
        fields = [(bytes(name), bytes(value)) for name, value in fields]
        self._length = _length(fields)
        self._head = self._make_head(fields)
        self.status = status
        self._bodyless |= status in (204, 304)

    async def _body(self, body: bytes, more: bool) -> None:
        if self._head is None or self.complete:
            raise RuntimeError("the answer has not begun" if self._head is None else "the answer is complete")
        self._sent += 0 if self._bodyless else len(body)
        self._check(more)
        self.complete = not more
        if not self._begun:
            self._begun = True
            self._begin(self._head, body, more)
        elif self._stream is not None and not more:
            self._stream.end(body)
        if not more:
            self._completed()
        elif self._stream is not None and body:
            await self._stream.put(body)
            if self.gone:
                raise OSError("the client has left")

    def _check(self, more: bool) -> None:
        length = self._length
        if length is None or self._bodyless:
            return
        if self._sent > length or (self._sent < length and not more):
            raise RuntimeError(f"the body has not the {length} bytes that Content-Length says")

    def _begin(self, head: bytes, body: bytes, more: bool) -> None:
        if self._bodyless:
            length = self._length if self._length is not None or more else len(body)
            self._answer(_without_body(self.status, head, length))
        elif more:
            self._stream = Handover(self._left)
            self._answer(Answer(self.status, head, stream=self._stream, length=self._length))
        else:
            self._answer(Answer(self.status, head, body))

    def leave(self) -> None:
        """Nobody takes any more."""
        self.gone = not self.complete
        if self._stream is not None:
            self._stream.leave()

    def fail(self, error: BaseException) -> bool:
        """Cut off an answer that has begun. Returns False where none has."""
        if self._stream is not None:
            self._stream.end(error=error)
        return self._begun


def _without_body(status: int, head: bytes, length: int | None) -> Answer:
    if status in (204, 304) or length is None:
        return Answer(status, head)
    ended = Handover(lambda: None)
    ended.end()
    return Answer(status, head, stream=ended, length=length)


def _length(fields: Fields) -> int | None:
    found = {value.strip() for name, value in fields if name.lower() == b"content-length"}
    if not found:
        return None
    value = found.pop()
    if found or not value.isdigit():
        raise RuntimeError("Content-Length: expected one number of bytes")
    return int(value)


def field_lines(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return an application's header lines without those of framing.

    Raises ``RuntimeError`` for a name or value that would end its line early or is none.
    """
    parts: list[bytes] = []
    for name, value in fields:
        if _NAME.fullmatch(name) is None:
            raise RuntimeError("a header of the application has a name that is none")
        if _BAD_VALUE.search(value):
            raise RuntimeError(f"header {name.decode('ascii')}: its value has a line break or a control character")
        if name.lower() not in _FRAMING:
            parts += (name, b": ", value.strip(b" \t"), b"\r\n")
    return b"".join(parts)
