"""The rate limit fields, as clients read them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.inbound.http.ratelimit import RateLimitFields, rate_limit_fields
from mainstay.model.limits import Limit, limit
from mainstay.ports.limiter import Verdict

PER_MINUTE = limit("20/minute", name="minute")
PER_DAY = limit("1000/day", name="day", by="address")


def verdict(
    what: Limit = PER_MINUTE, allowed: bool = True, remaining: int = 19, reset: float = 2.1, retry_after: float = 0.0
) -> Verdict:
    return Verdict(what, allowed, remaining, reset, retry_after)


def test_one_limit() -> None:
    assert rate_limit_fields([verdict()]) == [
        (b"RateLimit-Policy", b'"minute";q=20;w=60'),
        (b"RateLimit", b'"minute";r=19;t=3'),
    ]


def test_no_limit() -> None:
    assert rate_limit_fields([]) == []


def test_several_limits() -> None:
    assert rate_limit_fields([verdict(PER_DAY, remaining=500, reset=86_000), verdict(remaining=2)]) == [
        (b"RateLimit-Policy", b'"day";q=1000;w=86400, "minute";q=20;w=60'),
        (b"RateLimit", b'"day";r=500;t=86000, "minute";r=2;t=3'),
    ]


def test_a_refusal_names_the_moment_of_the_retry() -> None:
    refused = verdict(allowed=False, remaining=0, reset=60.0, retry_after=2.000001)

    assert rate_limit_fields([refused])[1] == (b"RateLimit", b'"minute";r=0;t=3')


@pytest.mark.parametrize("others", [[], [verdict(PER_DAY)]])
def test_what_never_passes_names_the_reset(others: list[Verdict]) -> None:
    refused = verdict(allowed=False, remaining=20, reset=0.0, retry_after=float("inf"))

    assert b'"minute";r=20;t=0' in rate_limit_fields([refused, *others])[1][1]


def test_one_name_stands_once() -> None:
    again = limit("30/minute", name="minute")

    assert rate_limit_fields([verdict(again, remaining=9), verdict(remaining=4)]) == [
        (b"RateLimit-Policy", b'"minute";q=20;w=60'),
        (b"RateLimit", b'"minute";r=4;t=3'),
    ]


@given(st.text(max_size=20))
def test_any_name_is_a_structured_string(name: str) -> None:
    (_, policy), _ = rate_limit_fields([verdict(limit("20/minute", name=name or "x"))])

    assert re.fullmatch(rb'"(?:[ !#-\[\]-~]|\\["\\])*";q=20;w=60', policy)


def test_what_is_written_once_is_bounded() -> None:
    fields = RateLimitFields()
    for number in range(3000):
        assert fields([verdict(limit(f"{number + 1}/day"))])[0][1].startswith(b'"principal-')

    assert len(fields._written) <= 1024
