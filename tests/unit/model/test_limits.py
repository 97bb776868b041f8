"""Limits as they are written."""

from __future__ import annotations

import pytest

from mainstay import Limit, limit


@pytest.mark.parametrize(
    ("rate", "quota", "window"),
    [
        ("20/minute", 20, 60),
        (" 1 / second ", 1, 1),
        ("5/10 seconds", 5, 10),
        ("100/2hours", 100, 7200),
        ("999999999/day", 999999999, 86400),
    ],
)
def test_a_rate(rate: str, quota: int, window: int) -> None:
    made = limit(rate)
    assert (made.quota, made.window, made.burst, made.by) == (quota, window, quota, "principal")
    assert made.name == f"principal-{quota}-{window}"


WRONG = "|20|20/|/minute|0/minute|-1/minute|1.5/minute|20/week|20/0 seconds|20 per minute|9999999999/day"


@pytest.mark.parametrize("rate", [*WRONG.split("|"), "1/100000 seconds", "20/minute\nx", "\u0661/minute"])
def test_a_rate_that_is_none(rate: str) -> None:
    with pytest.raises(ValueError, match=r"expected COUNT/\[N \]second\|minute\|hour\|day"):
        limit(rate)


def test_what_else_is_said_of_a_limit() -> None:
    made = limit("5/minute", by="address", algorithm="sliding-window", burst=2, name="login")
    assert made == Limit(name="login", quota=5, window=60, by="address", algorithm="sliding-window", burst=2)
    for burst in (0, -1):
        with pytest.raises(ValueError, match="at least 1"):
            limit("5/minute", burst=burst)
