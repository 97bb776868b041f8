"""The short way out of an overloaded service: a call is turned away before its head is parsed.

At ten times its capacity a service has little more than the time to read a request and to write a few bytes for each
that it turns away. So while there is something to guard a turnstile stands before each connection. It answers by itself
what it knows at a glance: a GET for an operation, whole in one piece, well-formed, without a body and without a header
field that would have a say in the answer. All else goes the usual way, and is asked about there.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, Protocol

from mainstay.inbound.http.door import Door
from mainstay.kernel.bound import BoundOperation

_END = b"\r\n\r\n"
_LARGE = 4096  # bytes of a head that is looked at
_SMALL = 1024  # bytes of one that is remembered
_HEADS = 2048
_PATHS = 4096  # that are remembered with their operations
_PLAIN = re.compile(
    rb"GET [!-~]++ HTTP/1\.1\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t -~\x80-\xff]*+\r\n)++\r\n"  # RFC 9112, section 2.1
)
_HOST = re.compile(rb"\r\nhost:", re.IGNORECASE)
_TELLING = re.compile(
    rb"\r\n(?:content-length|transfer-encoding|connection|expect|upgrade|origin|x-request-id):", re.IGNORECASE
)
_ID = re.compile(rb"\r\nx-request-id:[ \t]*([a-z0-9._-]{1,64})[ \t]*\r\n", re.IGNORECASE)
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
        self._known: dict[bytes, BoundOperation | None] = {}  # by target
        self._heads: dict[bytes, BoundOperation] = {}  # whole ones: they are forgotten when it is over
        self._placed: set[Turnstile] = set()

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

    def judge(self, data: bytes) -> BoundOperation | None:
        """Return the operation of a request that is turned away; None for what must go the usual way."""
        bound: BoundOperation | None = self._heads.get(data, _UNKNOWN)
        if bound is _UNKNOWN:
            bound = self._examine(data)
        if bound is None or self.admission.passes(bound):
            return None
        return bound

    def _examine(self, data: bytes) -> BoundOperation | None:
        """Look at a head, and remember what was found: who is turned away often comes back with the same."""
        bound: BoundOperation | None = self._known.get(data[4 : data.find(b" ", 4)], _UNKNOWN)
        if bound is _UNKNOWN:
            bound = self._learn(data[4 : data.find(b" ", 4)])
        if bound is None or _PLAIN.fullmatch(data) is None or len(_HOST.findall(data)) != 1:
            return None
        telling = _TELLING.findall(data)
        if telling:
            return bound if len(telling) == 1 and _ID.search(data) is not None else None
        if len(data) <= _SMALL:
            if len(self._heads) >= _HEADS:
                self._heads.clear()
            self._heads[data] = bound
        return bound

    def answer(self, bound: BoundOperation, data: bytes) -> bytes:
        """Return the answer to a request that is turned away."""
        identity, lines = self._door.plain()
        if data not in self._heads:
            given = _ID.search(data)
            identity = identity if given is None else given.group(1)
        return self.admission.refuse(bound, identity, lines + self._date())

    def _learn(self, target: bytes) -> BoundOperation | None:
        """Find what a target leads to, and remember it."""
        if len(self._known) >= _PATHS:
            self._known.clear()
        found = self._door.operation_of(target)
        self._known[target] = found
        return found


class Turnstile(asyncio.Protocol):
    """Stands before one connection, and hands on to it what it does not answer."""

    __slots__ = ("_bound", "_data", "_gate", "_inner", "_later", "_leaving", "_transport", "_waiting")

    def __init__(self, gate: Gate, inner: Inner, transport: Any) -> None:
        self._gate = gate
        self._inner = inner
        self._transport = transport
        self._waiting = False  # for idle time, or for its answer to be let go
        self._bound: Any = None
        self._data = b""
        self._leaving = False
        self._later: list[bytes] = []  # what came meanwhile

    def data_received(self, data: bytes) -> None:
        """Take input."""
        if self._waiting:
            self._later.append(data)
            self._transport.pause_reading()
            return
        if data[:4] == b"GET " and data[-4:] == _END and len(data) <= _LARGE and self._inner.spare():
            bound = self._gate.judge(data)
            if bound is not None:
                self._turn_away(bound, data)
                return
        self._inner.data_received(data)

    def _turn_away(self, bound: BoundOperation, data: bytes) -> None:
        admission = self._gate.admission
        if admission.park(self):
            self._waiting, self._bound, self._data = True, bound, data
            return
        answer = self._gate.answer(bound, data)
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
            self.release(self._gate.answer(self._bound, self._data))

    def release(self, answer: bytes) -> None:
        """Give an answer that was held back, and go on."""
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(answer)
            self._go_on()

    def _go_on(self) -> None:
        self._waiting = False
        later, self._later = self._later, []
        if self._leaving:
            self.leave()
        if later:
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
