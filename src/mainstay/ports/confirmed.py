"""What may count as confirmed of a batch that a broker has confirmed in part."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from mainstay.ports.broker import Outgoing


def unbroken(messages: Sequence[Outgoing], confirmed: Collection[UUID]) -> frozenset[UUID]:
    """Return the confirmed ids without those behind a message of the same key that was not.

    A broker that takes a batch at once may keep a later message and refuse an earlier one. Both are published again,
    in order; that the later one comes twice is the inbox's to see.
    """
    broken: set[str] = set()
    kept: list[UUID] = []
    for message in messages:
        if message.id not in confirmed:
            broken.add(message.key)
        elif not message.key or message.key not in broken:
            kept.append(message.id)
    return frozenset(kept)
