"""When a message is tried again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mainstay.webhooks.schedule import DELAYS, MAX_WAIT, asked_wait, delay_after

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_schedule_is_that_of_the_specification() -> None:
    minutes = [round(delay / 60, 3) for delay in DELAYS]
    assert minutes == [0.083, 5, 30, 120, 300, 600, 840, 1200, 1440]
    assert 3 < sum(DELAYS) / 86_400 < 4


def test_a_delay_grows_and_is_never_shorter_than_it_should_be() -> None:
    assert [delay_after(n, 0.0) for n in range(1, 10)] == list(DELAYS)
    assert delay_after(1, 0.999) == pytest.approx(5.5, abs=0.01)
    assert delay_after(10, 0.0) is None


@pytest.mark.parametrize(
    ("status", "value", "seconds"),
    [
        (429, "30", 30.0),
        (503, "30", 30.0),
        (500, "30", 0.0),
        (200, "30", 0.0),
        (429, "", 0.0),
        (429, "-5", 0.0),
        (429, "soon", 0.0),
        (429, "\u0661", 0.0),
        (429, "9" * 40, MAX_WAIT),
        (429, "Thu, 01 Jan 2026 00:01:00 GMT", 60.0),
        (429, "Thu, 01 Jan 2026 00:01:00 -0000", 60.0),
        (429, "Wed, 31 Dec 2025 00:01:00 GMT", 0.0),
        (429, "Thu, 01 Jan 2099 00:01:00 GMT", MAX_WAIT),
    ],
)
def test_a_receiver_may_ask_to_be_left_alone(status: int, value: str, seconds: float) -> None:
    assert asked_wait(status, {"retry-after": value}, NOW) == seconds


def test_a_receiver_that_asks_for_nothing_is_tried_by_the_schedule() -> None:
    assert asked_wait(429, {}, NOW) == 0.0
