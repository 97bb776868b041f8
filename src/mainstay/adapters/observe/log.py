"""The structured log: one JSON line a call and a notice, or a line for people on a terminal."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from time import gmtime, strftime
from typing import Any

import msgspec

from mainstay.adapters.observe.sink import Sink
from mainstay.model.problem import Kind
from mainstay.ports.clock import Clock
from mainstay.ports.observer import CallEnded, Notice, Observation, Observer, OutgoingEnded

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
MAX_TRACE = 8000  # characters of a traceback
MAX_TEXT = 8000  # characters of a message, or of what one fact is told as
_STEERING = re.compile("[\x80-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""What JSON lets stand, and readers of a log obey: other line ends, the second set of control codes, directions."""


class CallLine(msgspec.Struct, omit_defaults=True):
    """A call as it stands in the log. ``duration_ms`` is in milliseconds; ``trace_id`` is that of ``traceparent``.

    ``principal`` is in whose name it was made, ``actor`` who made it, where that is somebody else.
    """

    time: str
    level: str
    event: str
    operation: str
    status: int
    duration_ms: float
    request_id: str
    protocol: str = ""
    method: str = ""
    path: str = ""
    code: str | None = None
    principal: str | None = None
    tenant: str | None = None
    peer: str = ""
    trace_id: str | None = None
    replayed: bool = False
    attempts: int = 1
    error: str | None = None
    traceback: str | None = None
    actor: str | None = None


class OutgoingLine(msgspec.Struct, omit_defaults=True):
    """A call to another service as it stands in the log: neither path nor query, which may be secrets."""

    time: str
    level: str
    event: str
    method: str
    origin: str
    duration_ms: float
    status: int | None = None
    code: str | None = None
    reason: str = ""
    sent: int = 0
    received: int = 0
    request_id: str = ""
    trace_id: str | None = None


class _NoticeLine(msgspec.Struct, omit_defaults=True):
    time: str
    level: str
    event: str
    message: str
    facts: dict[str, Any] = {}
    error: str | None = None
    traceback: str | None = None


def _plain(value: Any) -> Any:
    """Encode what JSON does not know as its type's name: never its content, which may be secret."""
    return f"<{type(value).__name__}>"


class LogObserver(Observer):
    """Writes each observation as one line.

    ``statuses`` is the door's table of statuses by kind. Lines below ``level`` are left out; calls are "info", those
    that ended in an error of ours "error", those that could not be served now "warning".
    """

    def __init__(self, sink: Sink, clock: Clock, statuses: Mapping[Kind, int], *, level: str, pretty: bool) -> None:
        self._write = sink.write
        self._time = clock.time
        self._statuses = statuses
        self._level = LEVELS[level]
        self._encode = msgspec.json.Encoder(enc_hook=_plain).encode
        self._second = -1
        self._prefix = ""
        self._millisecond = -1
        self._text = ""
        self._format = pretty_line if pretty else self._json_line

    def observe(self, observation: Observation) -> None:
        """Write one line."""
        if type(observation) is CallEnded:
            self._call(observation)
        elif type(observation) is OutgoingEnded:
            self._outgoing(observation)
        else:
            self._notice(observation)  # type: ignore[arg-type]  # the union has three members

    def _json_line(self, line: Any) -> bytes:
        made = self._encode(line)
        return (made if made.isascii() else _STEERING.sub(_escaped, made.decode()).encode()) + b"\n"

    def _now(self) -> str:
        """Return the time as RFC 3339 text; the calls of one millisecond share it."""
        millisecond = int(self._time() * 1000)
        if millisecond != self._millisecond:
            second, rest = divmod(millisecond, 1000)
            if second != self._second:
                self._prefix = strftime("%Y-%m-%dT%H:%M:%S.", gmtime(second))
                self._second = second
            self._millisecond = millisecond
            self._text = f"{self._prefix}{rest:03d}Z"
        return self._text

    def _call(self, call: CallEnded) -> None:
        error = call.error
        level = "info" if error is None and call.kind is not Kind.UNAVAILABLE else _level(call)
        if LEVELS[level] < self._level:
            return
        who, trace = call.principal, call.traceparent
        shown = None if level == "info" else error
        line = CallLine(
            self._now(),
            level,
            "call",
            call.operation,
            call.status if call.kind is None else self._statuses[call.kind],
            int(call.seconds * 1e6) / 1000,
            call.request_id,
            call.protocol,
            call.method,
            call.target,
            call.code,
            who.subject if who.authenticated else None,
            who.tenant,
            call.peer,
            trace[3:35] if trace is not None else None,
            call.replayed,
            call.attempts or 1,
            None if shown is None else type(shown).__name__,
            None if shown is None else _trace(shown),
            None if who.actor is None else who.actor.subject,
        )
        self._write(self._format(line))

    def _outgoing(self, call: OutgoingEnded) -> None:
        level = "info" if call.code is None else "warning"
        if LEVELS[level] < self._level:
            return
        trace = call.traceparent
        line = OutgoingLine(
            self._now(),
            level,
            "outgoing",
            call.method,
            call.origin,
            int(call.seconds * 1e6) / 1000,
            call.status,
            call.code,
            call.reason,
            call.sent,
            call.received,
            call.request_id,
            trace[3:35] if trace is not None else None,
        )
        self._write(self._format(line))

    def _notice(self, notice: Notice) -> None:
        if LEVELS.get(notice.level, 20) < self._level:
            return
        error = notice.error
        line = _NoticeLine(
            self._now(),
            notice.level,
            notice.event,
            _short(notice.message),
            {name: self._bounded(value) for name, value in notice.facts.items()},
            None if error is None else type(error).__name__,
            _trace(error) if error is not None and notice.level == "error" else None,
        )
        self._write(self._format(line))

    def _bounded(self, value: Any) -> Any:
        """Return a fact that is no longer than may be told of one."""
        if isinstance(value, str):
            return _short(value)
        if isinstance(value, Mapping | list | tuple | set | frozenset) and len(self._encode(value)) > MAX_TEXT:
            return f"<{type(value).__name__} of {len(value)}>"
        return value


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}… ({len(text)} characters)"


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _level(call: CallEnded) -> str:
    if call.kind is Kind.UNAVAILABLE:
        return "warning"
    return "error" if call.error is not None and call.kind in (Kind.INTERNAL, None) else "info"


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error, limit=-20))[-MAX_TRACE:]


_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31"}


def pretty_line(line: Any) -> bytes:
    """Return a line for people: time, level, what happened, and the traceback where there is one."""
    colour = _COLOURS.get(line.level, "0")
    head = f"\x1b[2m{line.time[11:23]}\x1b[0m \x1b[{colour}m{line.level:<7}\x1b[0m "
    if isinstance(line, CallLine):
        code = f" {line.code}" if line.code else ""
        who = f" by {_printable(line.principal)}" if line.principal else ""
        who += f" ({_printable(line.actor)} for them)" if line.actor else ""
        text = f"{line.status}{code} {line.method} {_printable(line.path)} \x1b[2m{line.operation}{who}"
        text += f" {line.duration_ms:.1f} ms {line.request_id}\x1b[0m"
    elif isinstance(line, OutgoingLine):
        outcome = f"{line.status or line.code} {line.method} {line.origin}"
        text = f"-> {outcome} \x1b[2m{_printable(line.reason)} {line.duration_ms:.1f} ms {line.request_id}\x1b[0m"
    else:
        facts = " ".join(f"{name}={_printable(str(value))}" for name, value in line.facts.items())
        text = f"{_printable(line.message)} \x1b[2m{facts}\x1b[0m"
    trace = getattr(line, "traceback", None)
    below = "".join(f"\n{_printable(one)}" for one in trace.split("\n")) if trace else ""
    return f"{head}{text}{below}\n".encode("utf-8", "backslashreplace")


def _printable(text: str) -> str:
    """Return a text without control characters: what a caller sends must not steer a terminal."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
