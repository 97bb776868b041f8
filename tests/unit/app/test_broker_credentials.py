"""The credentials of a broker are those that its URL has now."""

from __future__ import annotations

import pytest

from mainstay.app.broker_credentials import current_credentials

START = "nats://shop:one@host:4222?prefix=x"


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (START, ("shop", "one")),
        ("nats://shop:two%40@host:4222?prefix=x", ("shop", "two@")),
        ("nats://token@host:4222?prefix=x", ("token", None)),
        ("nats://:two@host:4222?prefix=x", (None, "two")),
        ("nats://host:4222?prefix=x", (None, None)),
        ("nats://shop:two@other:4222?prefix=x", ("shop", "one")),
        ("nats://shop:two@host:4222", ("shop", "one")),
        ("nats://[", ("shop", "one")),
    ],
)
def test_another_password_counts_and_another_server_does_not(now: str, expected: tuple[str | None, str | None]) -> None:
    assert current_credentials(START, lambda: now)() == expected
