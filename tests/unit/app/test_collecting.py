"""While calls are served the collector leaves the service alone; afterwards it is as it was."""

from __future__ import annotations

import gc

import pytest

from mainstay.app.collecting import settled


def test_what_was_there_is_set_apart_and_put_back() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    with settled():
        assert gc.get_freeze_count() > frozen + 1000
        assert gc.get_threshold()[0] > before[0]
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_it_is_put_back_after_a_failure_too() -> None:
    before = gc.get_threshold()
    with pytest.raises(OSError, match="gone"), settled():
        raise OSError("gone")
    assert gc.get_threshold() == before


def test_cycles_of_calls_are_still_collected() -> None:
    class Node:
        me: object

    with settled():
        node = Node()
        node.me = node
        del node
        assert gc.collect() >= 1
