"""Lateness: whether a message comes behind later ones of its key, which its consumer has done.

It is looked for where messages are judged, and once more in the transaction of the effect: what a message was judged by
may be old when it runs, and another replica may have been at work that did not know yet that it had lost the partition.
"""

from __future__ import annotations

from datetime import timedelta

from mainstay.kernel.flow.places import LANE, steps_of
from mainstay.kernel.flow.records import InboxMessage, State
from mainstay.model.conditions import Compare
from mainstay.ports.rows import Query
from mainstay.ports.store import Transaction

REDRIVEN, REPLAYED = "redriven", "replayed"
"""The causes of messages that somebody has set going again: they do not come late."""

SLOW = timedelta(seconds=20)
"""Nobody has given up a message that came sooner than this after it was emitted: for longer than that, by clocks that
are apart, those behind it are held."""

_BESIDE = ("payload", "principal")


def may_be_late(row: InboxMessage, *, latest_only: bool, shuffled: bool) -> bool:
    """Whether a message may run though later ones of its key are done, as far as itself and its consumer tell.

    One that waits for the one before it cannot, unless it came so late that others have ceased to wait for it.
    ``shuffled`` says that messages may come out of their order.
    """
    if row.step is None:
        return False
    if latest_only:
        return row.cause != REPLAYED
    return shuffled and comes(row) and (not row.previous or row.created_at - row.emitted_at >= SLOW)


def comes(row: InboxMessage) -> bool:
    """Whether a message has come of itself, and has not been tried yet."""
    return not row.attempts and row.cause not in (REDRIVEN, REPLAYED)


async def is_late(transaction: Transaction, row: InboxMessage) -> bool:
    """Whether a later message of the key is done."""
    _, end = steps_of((row.step or "")[:LANE])
    later = Compare("step", "gt", row.step) & Compare("step", "lt", end) & Compare("state", "eq", State.DONE)
    return bool(await transaction.rows(InboxMessage).fetch(Query(where=later, limit=1, unread=_BESIDE)))
