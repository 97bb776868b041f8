"""Of a batch that was confirmed in part, nothing counts that stands behind a gap of its key."""

from __future__ import annotations

from uuid import uuid4

from mainstay.ports.broker import Outgoing
from mainstay.ports.confirmed import unbroken


def batch(*keys: str) -> list[Outgoing]:
    return [Outgoing(id=uuid4(), topic="orders.OrderPlaced", key=key, body=b"") for key in keys]


def test_all_that_was_confirmed_counts() -> None:
    messages = batch("a", "b", "")
    assert unbroken(messages, [one.id for one in messages]) == {one.id for one in messages}


def test_what_is_behind_a_gap_of_its_key_does_not_count() -> None:
    first, second, third, other = batch("a", "a", "a", "b")
    assert unbroken([first, second, third, other], [first.id, third.id, other.id]) == {first.id, other.id}


def test_messages_without_a_key_stand_alone() -> None:
    lost, kept = batch("", "")
    assert unbroken([lost, kept], [kept.id]) == {kept.id}


def test_nothing_is_confirmed_of_nothing() -> None:
    assert unbroken([], []) == frozenset()
