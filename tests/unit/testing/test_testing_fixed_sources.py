"""Time, ids and chance that a test decides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mainstay.testing.fixed import START, FixedClock, SeededEntropy, SequentialIds


def test_a_fixed_clock_stands_until_it_is_moved() -> None:
    clock = FixedClock()
    assert clock.now() == clock.now() == START
    clock.advance(1.5)
    clock.advance(timedelta(seconds=1))
    assert clock.now() == START + timedelta(seconds=2.5)
    assert clock.time() == START.timestamp() + 2.5
    assert clock.monotonic() == 2.5


def test_setting_the_wall_back_leaves_monotonic_time() -> None:
    clock = FixedClock(datetime(2026, 6, 1, 12, tzinfo=timezone(timedelta(hours=2))))
    assert clock.now() == datetime(2026, 6, 1, 10, tzinfo=UTC)
    assert clock.now().tzinfo is UTC
    clock.set(datetime(2026, 5, 1, tzinfo=UTC))
    assert clock.monotonic() == 0
    clock.set(datetime(2026, 5, 1, 0, 1, tzinfo=UTC))
    assert clock.monotonic() == 60


def test_a_time_without_a_zone_and_time_running_backwards_are_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        FixedClock(datetime(2026, 1, 1))  # noqa: DTZ001 - the fault that is looked for
    with pytest.raises(ValueError, match="backwards"):
        FixedClock().advance(-1)


def test_sequential_ids_count_as_uuids_of_version_7() -> None:
    ids, again = SequentialIds(), SequentialIds()
    made = [ids.next() for _ in range(3)]
    assert made == sorted(made) == [again.next() for _ in range(3)]
    assert {id_.version for id_ in made} == {7}
    assert [id_.int >> 80 for id_ in made] == [1, 2, 3]
    assert len(ids.token()) == 22


def test_seeded_entropy_repeats_itself() -> None:
    one, two, other = SeededEntropy(7), SeededEntropy(7), SeededEntropy(8)
    drawn = [one.uniform() for _ in range(5)]
    assert drawn == [two.uniform() for _ in range(5)]
    assert drawn != [other.uniform() for _ in range(5)]
