"""Places: ranges of numbers that hold just the partitions and consumers that are asked for, in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from mainstay.kernel.flow.places import (
    PARTITIONS,
    Span,
    id_of,
    inbox_place,
    inbox_spans,
    lane_of,
    outbox_partition,
    outbox_place,
    outbox_spans,
    partition_of,
    step_of,
    steps_of,
    turned,
)
from mainstay.model.values import INT_MAX

PARTITION = st.integers(0, PARTITIONS - 1)
HELD = st.sets(PARTITION)
MOMENT = st.integers(0, 2**51)
TIME = st.datetimes(datetime(2020, 1, 1), datetime(2080, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))  # noqa: DTZ001


def within(place: int, spans: list[Span]) -> bool:
    return any(span.first <= place < span.end for span in spans)


@given(PARTITION, MOMENT, HELD)
def test_the_outbox_is_parted(partition: int, moment: int, held: set[int]) -> None:
    place = outbox_place(partition, moment)
    assert within(place, outbox_spans(held)) == (partition in held)
    assert outbox_partition(place) == partition
    assert outbox_place(partition, moment + 1) > place


@given(st.sampled_from(["mail", "ship", "bill"]), PARTITION, TIME, HELD)
def test_the_inbox_is_parted_by_consumers(consumer: str, partition: int, moment: datetime, held: set[int]) -> None:
    place = inbox_place(consumer, partition, moment)
    assert 0 <= place <= INT_MAX
    assert within(place, inbox_spans(consumer, held)) == (partition in held)
    assert not within(place, inbox_spans(consumer + "x", range(PARTITIONS)))
    assert inbox_place(consumer, partition, moment + timedelta(milliseconds=1)) > place


@given(HELD, PARTITION)
def test_neighbours_are_one_span_and_all_is_turned(held: set[int], first: int) -> None:
    spans = outbox_spans(held)
    assert all(a.end < b.first for a, b in pairwise(spans))
    begin = outbox_place(first, 0)
    after = turned(spans, begin)
    assert sum(span.end - span.first for span in after) == sum(span.end - span.first for span in spans)
    ahead = [span.first >= begin for span in after]
    assert ahead == sorted(ahead, reverse=True)


def test_a_time_before_all_others_is_the_first() -> None:
    assert inbox_place("c", 0, datetime(1970, 1, 1, tzinfo=UTC)) == inbox_spans("c", [0])[0].first


@given(st.text(), st.uuids())
def test_a_key_has_one_partition_whatever_the_id(key: str, id: UUID) -> None:
    assert partition_of(key, id) == partition_of(key, UUID(int=1))
    assert partition_of(None, id) == id.int % PARTITIONS


def test_what_is_stored_is_never_hashed_otherwise() -> None:
    assert partition_of("order-1", UUID(int=0)) == 15
    assert lane_of("mail", "shop", "order-1") == "0d2225a043051706472768"
    assert str(id_of("order-1")) == "56eea00b-bcad-8f0a-aca2-cc13492405d7"
    assert inbox_spans("mail", [3]) == [Span(1260627464640528384, 1260629663663783936)]


@given(st.integers(0, INT_MAX), st.integers(0, INT_MAX))
def test_steps_of_a_lane_have_the_order_of_their_sequences(one: int, other: int) -> None:
    lane = lane_of("mail", "shop", "k")
    assert (step_of(lane, one) < step_of(lane, other)) == (one < other)
    first, end = steps_of(lane)
    assert first < step_of(lane, one) < end
