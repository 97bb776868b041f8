"""Places: where messages stand in the queues of partitions and consumers, as numbers and texts that an index has.

A place is one number whose order is that of the queue, so that a range of it is what a replica looks for: in the
outbox the partition and microseconds, in the inbox the consumer, the partition and milliseconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID
from zlib import crc32

from mainstay.model.structs import EPOCH

PARTITIONS = 16
"""It is part of what is stored: it cannot change."""

LANE = 22
"""Characters of a lane in a step."""

_VERSION_AND_VARIANT = 0x8 << 76 | 0b10 << 62
_OWN_BITS = (1 << 128) - 1 - (0xF << 76) - (0b11 << 62)
_MICROSECOND = timedelta(microseconds=1)
_MOMENT_BITS = 56  # of microseconds
_SHORT_BITS = 41  # of milliseconds since 2020: enough until 2089
_SHORT_ORIGIN = 1_577_836_800_000
_CONSUMER_BITS = 18  # with 4 of the partition and 41 of time they make the 63 that an integer has everywhere


class Span(NamedTuple):
    """Places from ``first`` up to, but not with, ``end``."""

    first: int
    end: int


def microseconds(moment: datetime) -> int:
    """Return a moment in microseconds since the Unix epoch."""
    return (moment - EPOCH) // _MICROSECOND


def partition_of(key: str | None, id: UUID) -> int:
    """Return the partition of a message: by its key, where it has one, or else by its id."""
    return (id.int if key is None else crc32(key.encode("utf-8", "surrogatepass"))) % PARTITIONS


def outbox_place(partition: int, moment: int) -> int:
    """Return the place of a message in the outbox: ``moment`` is its sequence, or where it has none the microsecond."""
    return partition << _MOMENT_BITS | moment


def outbox_partition(place: int) -> int:
    """Return the partition of a place in the outbox."""
    return place >> _MOMENT_BITS


def outbox_spans(partitions: Collection[int]) -> list[Span]:
    """Return where the messages of partitions stand in the outbox, neighbours as one."""
    return [Span(first << _MOMENT_BITS, end << _MOMENT_BITS) for first, end in _runs(partitions)]


def inbox_place(consumer: str, partition: int, moment: datetime) -> int:
    """Return the place of a message that may run in the queue of a consumer."""
    short = max(0, microseconds(moment) // 1000 - _SHORT_ORIGIN) & (1 << _SHORT_BITS) - 1
    return (_number(consumer) * PARTITIONS + partition) << _SHORT_BITS | short


def inbox_spans(consumer: str, partitions: Collection[int]) -> list[Span]:
    """Return where a consumer's messages of partitions stand that may run, neighbours as one."""
    own = _number(consumer) * PARTITIONS
    return [Span(own + first << _SHORT_BITS, own + end << _SHORT_BITS) for first, end in _runs(partitions)]


def turned(spans: Collection[Span], first: int) -> list[Span]:
    """Return the same spans beginning at a place, so that no partition is always behind the others."""
    before = [Span(span.first, min(span.end, first)) for span in spans if span.first < first]
    behind = [Span(max(span.first, first), span.end) for span in spans if span.end > first]
    return behind + before


def lane_of(consumer: str, source: str, key: str) -> str:
    """Return what stands for the messages of one key from one service at one consumer."""
    text = "\x00".join((consumer, source, key)).encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=LANE // 2).hexdigest()


def step_of(lane: str, sequence: int) -> str:
    """Return the step of a message in its lane: steps of one lane have the order of their sequences."""
    return f"{lane}:{sequence:016x}"


def steps_of(lane: str) -> tuple[str, str]:
    """Return texts before and behind all steps of a lane."""
    return f"{lane}:", f"{lane};"


def id_of(*names: str) -> UUID:
    """Return the id that is made from names, the same for the same ones: a UUIDv8 (RFC 9562, section 5.8)."""
    digest = blake2b("\x00".join(names).encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return UUID(int=int.from_bytes(digest) & _OWN_BITS | _VERSION_AND_VARIANT)


def _number(consumer: str) -> int:
    """Return a consumer's number. Should two share one, each leaves the other's messages where they are."""
    return int.from_bytes(blake2b(consumer.encode(), digest_size=3).digest()) >> 24 - _CONSUMER_BITS


def _runs(partitions: Collection[int]) -> Iterator[tuple[int, int]]:
    first = last = None
    for partition in sorted(partitions):
        if last is not None and partition == last + 1:
            last = partition
            continue
        if first is not None and last is not None:
            yield first, last + 1
        first = last = partition
    if first is not None and last is not None:
        yield first, last + 1
