"""A partition may be committed up to the lowest offset that is not acknowledged, whatever the order."""

from __future__ import annotations

from random import Random

import pytest

from mainstay.adapters.kafka.ledger import Ledger


def test_where_it_begins_is_due_unless_it_is_on_record() -> None:
    assert Ledger(7, on_record=False, epoch=1).due == 7
    assert Ledger(7, on_record=True, epoch=1).due is None


def test_what_is_acknowledged_out_of_order_waits_for_the_lowest() -> None:
    ledger = Ledger(4, on_record=True, epoch=1)
    for offset in (4, 5, 6):
        ledger.take(offset)
    ledger.acknowledge(6)
    assert ledger.due is None
    ledger.acknowledge(4)
    assert ledger.due == 5
    ledger.acknowledge(5)
    assert ledger.due == 7
    ledger.committed(7)
    assert ledger.due is None


def test_offsets_with_gaps_are_passed() -> None:
    ledger = Ledger(0, on_record=True, epoch=1)
    for offset in (0, 2, 9):  # between them stand the marks of transactions
        ledger.take(offset)
    ledger.acknowledge(2)
    ledger.acknowledge(0)
    assert ledger.due == 3
    ledger.acknowledge(9)
    assert ledger.due == 10


def test_what_was_not_handed_out_changes_nothing() -> None:
    ledger = Ledger(0, on_record=True, epoch=1)
    ledger.acknowledge(3)
    assert ledger.due is None


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_committed_that_is_not_acknowledged(seed: int) -> None:
    random = Random(seed)
    ledger = Ledger(0, on_record=True, epoch=1)
    offsets = sorted(random.sample(range(100), 30))
    for offset in offsets:
        ledger.take(offset)
    done: set[int] = set()
    for offset in random.sample(offsets, len(offsets)):
        ledger.acknowledge(offset)
        done.add(offset)
        open_ones = [one for one in offsets if one not in done]
        assert ledger.position <= min(open_ones, default=100)
        assert ledger.position == max((one + 1 for one in offsets if one < min(open_ones, default=100)), default=0)
