"""The short way out of an overloaded service: a call is turned away before its head is parsed.

At ten times its capacity a service has little more than the time to read a request and to write a few bytes for each
that it turns away. So while there is something to guard a turnstile stands before each connection. It answers by itself
what it knows at a glance: a call of an operation that came in one piece, with all of its body, well-formed, and without
a header field that would have a say in the answer. All else goes the usual way, and is asked about there.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, Protocol

from mainstay.inbound.http.door import Door
from mainstay.inbound.http.lines import is_host
from mainstay.inbound.http.request import SINGLE
from mainstay.kernel.bound import BoundOperation

_END = b"\r\n\r\n"
_LARGE = 4096  # bytes of a request that is looked at
_SMALL = 1024  # bytes of a head that is remembered
_HEADS = 2048
_PATHS = 4096  # that are remembered with their operations
_METHODS = frozenset({b"GET", b"POST", b"PUT", b"PATCH", b"DELETE"})
_UNHEARD = frozenset({b"transfer-encoding", b"connection", b"expect", b"upgrade", b"origin"})
_NAMES = b"|".join(sorted(SINGLE | _UNHEARD | {b"x-request-id"}))
_PLAIN = re.compile(  # RFC 9112, section 2.1
    rb"[A-Z]++ /[!-\"$-~]*+ HTTP/1\.1\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t -~\x80-\xff]*+\r\n)++\r\n"
)
_TELLING = re.compile(rb"\r\n(" + _NAMES + rb"):([^\r]*)", re.IGNORECASE)
_LENGTH = re.compile(rb" *(0|[1-9][0-9]{0,3}) *")
_ID = re.compile(rb"[a-zA-Z0-9._-]{1,64}")
_Known = tuple[BoundOperation, int, bytes | None]  # the operation, the length of the body, the id that was given
_UNKNOWN: Any = object()


class Inner(Protocol):
    """A connection behind a turnstile: a protocol of asyncio that can be asked whether it is at rest."""

    def spare(self) -> bool:
        """Whether nothing of a request has come. Its wait for one begins anew."""

    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool | None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class Gate:
    """What the turnstiles of a server share. ``date`` returns the Date line of now."""

    def __init__(self, door: Door, date: Callable[[], bytes]) -> None:
        self.shut = False
        self._door = door
        self.admission = door.admission
        self._date = date
        self._known: dict[bytes, BoundOperation | None] = {}  # by method and target
        self._heads: dict[bytes, _Known] = {}  # whole ones: they are forgotten when it is over
        self._placed: set[Turnstile] = set()
        self._dated = b""
        self._lines = b""  # that each answer carries, of the date of now

    def place(self, inner: Any, transport: Any) -> None:
        """Put a turnstile before a connection."""
        one = Turnstile(self, inner, transport)
        self._placed.add(one)
        transport.set_protocol(one)

    def clear(self) -> None:
        """Take all turnstiles away, as soon as each has given its answer."""
        self._heads.clear()
        for one in tuple(self._placed):
            one.leave()

    def left(self, one: Turnstile) -> None:
        """Take note that a turnstile is no more."""
        self._placed.discard(one)

    def judge(self, data: bytes) -> _Known | None:
        """Return what a request that is turned away asks for; None for what must go the usual way."""
        end = data.find(_END) + 4
        head = data[:end]
        known: _Known | None = self._heads.get(head) or (self._examine(head) if end > 3 else None)
        if known is None or known[1] != len(data) - end or self.admission.passes(known[0]):
            return None
        return known

    def _examine(self, head: bytes) -> _Known | None:
        """Look at a head, and remember what was found: who is turned away often comes back with the same."""
        line = head[: head.find(b" ", head.find(b" ") + 1)]
        bound: BoundOperation | None = self._known.get(line, _UNKNOWN)
        if bound is _UNKNOWN:
            bound = self._learn(line)
        if bound is None or self._is_large(head) or _PLAIN.fullmatch(head) is None:
            return None
        telling = _TELLING.findall(head)
        found = {name.lower(): value for name, value in telling}
        length = _LENGTH.fullmatch(found.get(b"content-length", b"0"))
        if (
            len(found) < len(telling)  # one is there twice
            or not is_host(found.get(b"host", b"").strip(b" \t"))
            or not _UNHEARD.isdisjoint(found)
            or length is None
            or (b"content-length" in found and head.startswith(b"GET "))
        ):
            return None
        given = found.get(b"x-request-id")
        if given is not None:
            identity = given.strip(b" \t")
            return (bound, int(length[1]), identity) if _ID.fullmatch(identity) else None
        if len(head) <= _SMALL:
            if len(self._heads) >= _HEADS:
                self._heads.clear()
            self._heads[head] = (bound, int(length[1]), None)
        return bound, int(length[1]), None

    def _is_large(self, head: bytes) -> bool:
        """Whether a head is over a bound; the request line counts as one field more here, which does no harm."""
        options = self._door.options
        return len(head) > options.max_header_bytes or head.count(b"\r\n") - 2 > options.max_headers

    def answer(self, known: _Known) -> bytes:
        """Return the answer to a request that is turned away."""
        date = self._date()
        if date is not self._dated:
            self._dated = date
            self._lines = self._door.common + date
        return self.admission.refuse(known[0], known[2] or self._door.new_id(), self._lines)

    def _learn(self, line: bytes) -> BoundOperation | None:
        """Find what a method and a target lead to, and remember it."""
        if len(self._known) >= _PATHS:
            self._known.clear()
        method, _, target = line.partition(b" ")
        found = self._door.operation_of(method, target) if method in _METHODS else None
        self._known[line] = found
        return found


class Turnstile(asyncio.Protocol):
    """Stands before one connection, and hands on to it what it does not answer."""

    __slots__ = ("_data", "_gate", "_inner", "_known", "_later", "_leaving", "_transport", "_waiting")

    def __init__(self, gate: Gate, inner: Inner, transport: Any) -> None:
        self._gate = gate
        self._inner = inner
        self._transport = transport
        self._waiting = False  # for idle time, or for its answer to be let go
        self._known: Any = None
        self._data = b""
        self._leaving = False
        self._later: list[bytes] = []  # what came meanwhile

    def data_received(self, data: bytes) -> None:
        """Take input."""
        if self._waiting:
            self._later.append(data)
            self._transport.pause_reading()
            return
        if len(data) <= _LARGE and self._inner.spare():
            known = self._gate.judge(data)
            if known is not None:
                self._turn_away(known, data)
                return
        self._inner.data_received(data)

    @property
    def bound(self) -> BoundOperation:
        """The operation of the call that waits."""
        return self._known[0]  # type: ignore[no-any-return]  # it is set while one waits

    def _turn_away(self, known: _Known, data: bytes) -> None:
        admission = self._gate.admission
        if admission.park(self):
            self._waiting, self._known, self._data = True, known, data
            return
        answer = self._gate.answer(known)
        if admission.hold(self.release, answer):
            self._waiting = True
        else:
            self._transport.write(answer)

    def admit(self) -> bool:
        """Begin the call that waits. Returns False where its client has left."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        self._gate.admission.let_pass()
        self._inner.data_received(self._data)
        self._go_on()
        return True

    def reject(self) -> None:
        """Turn the call away that waits."""
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(self._gate.answer(self._known))
            self._go_on()

    def release(self, answer: bytes) -> None:
        """Give an answer that was held back, and go on."""
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(answer)
            self._go_on()

    def _go_on(self) -> None:
        self._waiting = False
        if self._leaving:
            self.leave()
        if self._later:
            later, self._later = self._later, []
            self._transport.resume_reading()
            for data in later:
                (self._inner if self._leaving else self).data_received(data)

    def leave(self) -> None:
        """Let the connection have its input to itself again."""
        self._leaving = True
        if not self._waiting and self._transport is not None:
            self._gate.left(self)
            self._transport.set_protocol(self._inner)

    def eof_received(self) -> bool | None:
        """Pass on."""
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on."""
        self._gate.left(self)
        self._transport = None
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass on."""
        self._inner.resume_writing()
