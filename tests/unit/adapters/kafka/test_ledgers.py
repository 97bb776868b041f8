"""Which messages are a member's to acknowledge, and what of them is to be put on record."""

from __future__ import annotations

from mainstay.adapters.kafka.ledger import Ledgers, Place

ONE, OTHER = ("orders", 0), ("orders", 1)


def begun(*, on_record: bool = True) -> Ledgers:
    """Return ledgers of two partitions."""
    ledgers = Ledgers()
    epoch = ledgers.next_epoch()
    for place in (ONE, OTHER):
        ledgers.begin(place, 5, on_record=on_record, epoch=epoch)
    return ledgers


def taken(ledgers: Ledgers, *offsets: int) -> list[Place]:
    """Hand messages of one partition out."""
    found = [ledgers.take(*ONE, offset) for offset in offsets]
    return [place for place in found if place is not None]


def test_what_is_acknowledged_is_due_until_it_is_on_record() -> None:
    ledgers = begun()
    assert ledgers.due == {}
    assert ledgers.acknowledge(taken(ledgers, 5, 6))
    assert ledgers.due == {ONE: 7}
    ledgers.committed({ONE: 6})  # of what was sent before
    assert ledgers.due == {ONE: 7}
    ledgers.committed({ONE: 7, ("orders", 2): 9})
    assert ledgers.due == {}


def test_where_a_group_begins_is_due() -> None:
    assert begun(on_record=False).due == {ONE: 5, OTHER: 5}


def test_what_went_is_nobodys_to_acknowledge() -> None:
    ledgers = begun()
    places = taken(ledgers, 5, 6)
    assert ledgers.give_up([ONE], though_due=False)
    assert not ledgers.acknowledge(places)
    assert taken(ledgers, 7) == []
    ledgers.begin(ONE, 5, on_record=True, epoch=ledgers.next_epoch())
    again = taken(ledgers, 5)
    assert not ledgers.acknowledge([*places, *again])  # those by the assignment before are not
    assert ledgers.due == {ONE: 6}
    ledgers.clear()
    assert not ledgers.acknowledge(again)
    assert ledgers.due == {}


def test_a_partition_does_not_go_while_something_of_it_is_due() -> None:
    ledgers = begun()
    places = taken(ledgers, 5)
    ledgers.acknowledge(places)
    assert ledgers.give_up([OTHER], though_due=False)
    assert not ledgers.give_up([ONE], though_due=False)
    assert ledgers.acknowledge(places)  # it is still there
    assert ledgers.give_up([ONE], though_due=True)
    assert ledgers.due == {}
