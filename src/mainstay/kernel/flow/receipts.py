"""Receipts: that a webhook's message was taken is committed with what it changed, so that a repetition changes nothing.

Senders repeat what they have no answer of, for days, and anybody who has a copy may send it again within the tolerance
of its time. The receipt is a row of its own: it has nothing to do with events, and is kept for as long as their marks.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import blake2b

from mainstay.kernel.bound import Ports
from mainstay.kernel.call import Call
from mainstay.kernel.flow.inbox import After, Before
from mainstay.model.conditions import Compare
from mainstay.model.fields import field
from mainstay.model.operation import Operation, Signed
from mainstay.model.problem import UniqueConflict
from mainstay.model.structs import Entity
from mainstay.ports.rows import Change
from mainstay.ports.store import Transaction
from mainstay.ports.unit_of_work import UnitOfWork

RETENTION = timedelta(days=7)
"""For how long a message is known again: longer than any of the known senders repeats one."""


class WebhookReceipt(Entity):
    """A message of a webhook was taken: committed with what its operation changed."""

    mark: str = field(unique=True, max_length=40)
    expires_at: datetime = field(index=True)


RECEIPTS = (WebhookReceipt, "mainstay_receipt")
"""The entity with the name of its table, where a service has webhooks."""


def takes_once(operation: Operation) -> bool:
    """Whether an operation has one effect for each message that it is sent."""
    return isinstance(operation.allow, Signed) and operation.allow.once


def bind_receipts(ports: Ports) -> Before:
    """Return the function that marks a message as taken, and says False where it was taken before.

    Of two that come at once one waits for the other, and has no effect where that had one.
    """

    async def mark(call: Call, unit: UnitOfWork) -> bool:
        if await _taken(call, unit.transaction()):
            return False
        _mark(call, unit, ports)
        try:
            await unit.flush()
        except UniqueConflict:
            call.replayed = True
            return False
        return True

    return mark


def bind_late_receipts(ports: Ports) -> tuple[Before, After]:
    """Return the same in two, for an operation that reaches outside: the look before it, and the mark behind it."""

    async def look(call: Call, unit: UnitOfWork) -> bool:
        transaction = ports.store.begin(write=False, single=True, latest=True, deadline=unit.deadline)
        try:
            return not await _taken(call, transaction)
        finally:
            await transaction.rollback()

    def mark(call: Call, unit: UnitOfWork) -> None:
        _mark(call, unit, ports)

    return look, mark


async def purge_receipts(ports: Ports) -> int:
    """Delete the receipts that are past their time, and return how many there were."""
    transaction = ports.store.begin(write=True)
    try:
        past = Compare("expires_at", "le", ports.clock.now())
        gone = await transaction.rows(WebhookReceipt).apply(Change(where=past, changes=None))
        await transaction.commit()
    except BaseException:
        await transaction.rollback()
        raise
    return gone


async def _taken(call: Call, transaction: Transaction) -> bool:
    call.replayed = bool(await transaction.rows(WebhookReceipt).count(Compare("mark", "eq", mark_of(call))))
    return call.replayed


def mark_of(call: Call) -> str:
    """Return the mark of a call's message: a digest, for ids may be long."""
    text = f"{call.operation.name}\x00{call.delivery}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()


def _mark(call: Call, unit: UnitOfWork, ports: Ports) -> None:
    now = ports.clock.now()
    receipt = WebhookReceipt(
        id=ports.ids.next(),
        version=1,
        created_at=now,
        updated_at=now,
        mark=mark_of(call),
        expires_at=now + RETENTION,
    )
    unit.transaction().rows(WebhookReceipt).insert([receipt])
