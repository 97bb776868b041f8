"""The outbox: events become rows of the transaction that emitted them.

Those of one kind and key get a sequence, and that of the one before: taken under the lock of their own row, so that
sequences have the order of the commits. An event without a key asks nothing of the database.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from mainstay.kernel.flow.payloads import Payloads
from mainstay.kernel.flow.places import microseconds, outbox_place, partition_of
from mainstay.kernel.flow.principals import encode_principal
from mainstay.kernel.flow.records import OutboxMessage
from mainstay.kernel.flow.sequences import UNORDERED, Line, Sequences, Turn
from mainstay.kernel.scope import Emitted, Scope
from mainstay.model.event_versions import version_of
from mainstay.model.structs import Event
from mainstay.ports.clock import Clock
from mainstay.ports.ids import Ids

ENVELOPE = 1024
"""Bytes that a message is larger than its payload, its key and its principal, at most."""

MAX_KEY_LENGTH = 512


class _Nothing:
    """What there is to be waited for where nothing is: cheaper than a coroutine that ends at once."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


NOTHING: Awaitable[None] = _Nothing()

Outbox = Callable[[Scope], Awaitable[None]]
"""Queues the events of a scope into its transaction; what it returns is awaited before the commit."""


class UnknownEvent(TypeError):
    """A use case emitted an event that no module of the service declares."""


class EventTooLarge(ValueError):
    """An event is larger than the broker of this service takes, or its key is longer than a key may be."""


def bind_outbox(
    names: Mapping[type[Event], str], payloads: Payloads, ids: Ids, clock: Clock, *, max_bytes: int | None = None
) -> Outbox:
    """Return the function that queues the events of a scope into its transaction.

    ``max_bytes`` is what the broker takes of one message; None: there is no broker.
    """
    return _Writer(names, payloads, ids, clock, max_bytes).write


class _Writer:
    """Makes rows of what use cases have emitted."""

    __slots__ = ("_clock", "_ids", "_max_bytes", "_names", "_payloads")

    def __init__(
        self, names: Mapping[type[Event], str], payloads: Payloads, ids: Ids, clock: Clock, max_bytes: int | None
    ) -> None:
        self._names = names
        self._payloads = payloads
        self._ids = ids
        self._clock = clock
        self._max_bytes = max_bytes

    def write(self, scope: Scope) -> Awaitable[None]:
        now, principal = self._clock.now(), encode_principal(scope.call.principal)
        lines = {Line(self._name_of(one), one.key) for one in scope.emitted if one.key is not None}
        if lines:
            return self._write_in_order(scope, sorted(lines), principal, now)
        scope.stored = rows = [self._row(one, scope, principal, now, UNORDERED) for one in scope.emitted]
        scope.unit.transaction().rows(OutboxMessage).insert(rows)
        return NOTHING

    async def _write_in_order(self, scope: Scope, lines: Sequence[Line], principal: str, now: datetime) -> None:
        for line in lines:
            _check_key(line.key)
        transaction = scope.unit.transaction()
        sequences = await Sequences.locked(transaction, lines, now)
        scope.stored = rows = [
            self._row(one, scope, principal, now, sequences.next(self._name_of(one), one.key)) for one in scope.emitted
        ]
        sequences.write(transaction)
        transaction.rows(OutboxMessage).insert(rows)

    def _name_of(self, emitted: Emitted) -> str:
        name = self._names.get(type(emitted.event))
        if name is None:
            raise UnknownEvent(f"{type(emitted.event).__name__} is declared in no module of this service")
        return name

    def _row(self, emitted: Emitted, scope: Scope, principal: str, now: datetime, turn: Turn) -> OutboxMessage:
        name = self._name_of(emitted)
        payload = self._payloads(emitted.event, name)
        if self._max_bytes is not None:
            _check_size(name, len(payload) + len(principal), emitted.key, self._max_bytes)
        id, call = self._ids.next(), scope.call
        return OutboxMessage(
            id=id,
            version=1,
            created_at=now,
            updated_at=now,
            event=name,
            key=emitted.key,
            payload=payload.decode(),
            principal=principal,
            request_id=call.request_id,
            traceparent=call.traceparent,
            dataversion=version_of(type(emitted.event)),
            sequence=turn.sequence,
            previous=turn.previous,
            place=_place(emitted.key, id, turn.sequence or microseconds(now)),
        )


def _place(key: str | None, id: UUID, moment: int) -> int:
    return outbox_place(partition_of(key, id), moment)


def _check_key(key: str) -> None:
    if len(key) > MAX_KEY_LENGTH or "\x00" in key:
        raise EventTooLarge(f"an event's key has {MAX_KEY_LENGTH} characters at most, none of them U+0000")


def _check_size(name: str, size: int, key: str | None, most: int) -> None:
    size += ENVELOPE + len(key or "") * 4
    if size > most:
        raise EventTooLarge(
            f"{name} is {size} bytes as a message, and the broker takes {most}: keep what is large in a row or an "
            "object, and have the event name it"
        )
