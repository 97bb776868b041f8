"""Batches in portions: what is sent to a broker at once, before its answers are waited for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mainstay.ports.broker import Outgoing


def portions(messages: Sequence[Outgoing], *, count: int, size: int) -> Iterator[list[Outgoing]]:
    """Give messages in their order, so many at once, with so many bytes of bodies where there is more than one."""
    portion: list[Outgoing] = []
    held = 0
    for message in messages:
        if portion and (len(portion) == count or held + len(message.body) > size):
            yield portion
            portion, held = [], 0
        portion.append(message)
        held += len(message.body)
    if portion:
        yield portion
