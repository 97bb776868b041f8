"""A batch is sent in portions, bounded by count and by bytes."""

from __future__ import annotations

from uuid import uuid4

from mainstay.ports.broker import Outgoing
from mainstay.ports.portions import portions


def outgoing(body: bytes = b"x") -> Outgoing:
    return Outgoing(id=uuid4(), topic="orders.OrderPlaced", body=body)


def test_they_are_bounded_by_count() -> None:
    messages = [outgoing() for _ in range(5)]
    assert list(portions(messages, count=2, size=100)) == [messages[:2], messages[2:4], messages[4:]]


def test_they_are_bounded_by_bytes_and_have_one_message_at_least() -> None:
    large, small = outgoing(b"y" * 50), outgoing(b"z" * 5)
    assert list(portions([large, small, small, large], count=10, size=10)) == [[large], [small, small], [large]]


def test_no_messages_are_no_portions() -> None:
    assert list(portions([], count=2, size=10)) == []
