"""Which statements are tried on the loop, and how often."""

from __future__ import annotations

from itertools import pairwise

from mainstay.adapters.sql.sqlite.long_reads import MOST_SKIPPED, LongReads


def tries(reads: LongReads, executions: int) -> list[int]:
    """Execute a statement that is always too long, and return which executions were tried on the loop."""
    tried = []
    for number in range(executions):
        if not reads.skips("a"):
            tried.append(number)
            reads.was_long("a")
    return tried


def test_a_statement_that_stays_long_is_tried_less_and_less_often() -> None:
    tried = tries(LongReads(), 400)
    pauses = [after - before - 1 for before, after in pairwise(tried)]
    assert pauses == [1, 3, 7, 15, 31] + 5 * [MOST_SKIPPED]


def test_one_that_was_short_is_tried_each_time_again() -> None:
    reads = LongReads()
    tries(reads, 10)
    reads.was_short("a")
    assert not reads.skips("a")
    reads.was_long("a")
    assert [reads.skips("a") for _ in range(3)] == [True, False, False]


def test_each_statement_is_judged_by_itself() -> None:
    reads = LongReads()
    reads.was_long("a")
    assert not reads.skips("b")
    assert reads.skips("a")


def test_no_more_are_remembered_than_are_of_use() -> None:
    reads = LongReads()
    for number in range(600):
        reads.was_long(f"{number}")
    assert not reads.skips("0")
    assert reads.skips("599")
