"""What is measured of slow clients, how connections are counted, and what little pieces weigh."""

from __future__ import annotations

import pytest

from mainstay.inbound.http.body import Inflow
from mainstay.inbound.http.chunks import Chunks
from mainstay.inbound.http.crowd import Crowd
from mainstay.inbound.http.options import HttpOptions
from mainstay.inbound.http.patience import Meter
from mainstay.inbound.http.persistence import persists
from mainstay.inbound.http.problems import RequestMalformed


def test_a_window_is_judged_when_it_is_over() -> None:
    meter, body = Meter(), object()
    assert not meter.lags(body, 0, now=10, window=5, rate=100)
    assert not meter.lags(body, 0, now=15, window=5, rate=100)
    assert meter.lags(body, 599, now=16, window=5, rate=100)


def test_each_window_is_judged_for_itself() -> None:
    meter, body = Meter(), object()
    assert not meter.lags(body, 0, now=0, window=5, rate=100)
    assert not meter.lags(body, 1_000_000, now=6, window=5, rate=100)
    assert not meter.lags(body, 1_000_000, now=11, window=5, rate=100)
    assert meter.lags(body, 1_000_100, now=12, window=5, rate=100)


def test_without_a_rate_something_must_move() -> None:
    meter, body = Meter(), object()
    assert not meter.lags(body, -100, now=0, window=5, rate=0)
    assert not meter.lags(body, -99, now=6, window=5, rate=0)
    assert meter.lags(body, -99, now=12, window=5, rate=0)


def test_another_thing_has_a_window_of_its_own() -> None:
    meter = Meter()
    assert not meter.lags("a", 0, now=0, window=5, rate=100)
    assert not meter.lags("b", 0, now=6, window=5, rate=100)


def test_connections_are_counted_as_limits_count() -> None:
    crowd = Crowd(HttpOptions(max_connections=5, max_connections_per_address=2, trusted_proxies=("10.0.0.0/8", "::1")))
    names = [crowd.enter(f"2001:db8::{n}") for n in range(3)]
    assert names == ["2001:db8::/64", "2001:db8::/64", None]
    assert crowd.enter("::ffff:192.0.2.1") == crowd.enter("192.0.2.1") == "192.0.2.1"
    assert crowd.enter("192.0.2.1") is None
    assert {crowd.enter(one) for one in ("10.1.2.3", "::ffff:10.1.2.3", "::1", "::1%lo")} == {""}
    assert crowd.enter("a socket's path") == "a socket's path"
    crowd.leave("192.0.2.1")
    assert crowd.enter("192.0.2.1") == "192.0.2.1"
    for name in ("192.0.2.1", "192.0.2.1", "2001:db8::/64", "2001:db8::/64", "a socket's path"):
        crowd.leave(name)
    assert crowd._counts == {}
    assert not crowd.full(4)
    assert crowd.full(5)


def test_little_pieces_of_a_body_are_made_one() -> None:
    inflow = Inflow(1 << 20)
    for _ in range(50_000):
        inflow.feed(b"ab")
    assert len(inflow._chunks) <= 256
    assert inflow.take() == b"ab" * 50_000


def test_little_chunks_are_given_on_together() -> None:
    given: list[bytes] = []
    chunks = Chunks(given.append, max_fields=10, max_bytes=1000)
    data = b"2\r\nab\r\n" * 1000 + b"0\r\n\r\n"
    assert chunks.take(data, 0, len(data)) == len(data)
    assert chunks.ended
    assert given == [b"ab" * 1000]


def test_chunks_may_not_carry_next_to_nothing() -> None:
    chunks = Chunks(lambda _: None, max_fields=10, max_bytes=1000)
    data = b"1\r\nx\r\n" * 9000
    with pytest.raises(RequestMalformed, match="next to nothing"):
        chunks.take(data, 0, len(data))


@pytest.mark.parametrize(
    ("field", "http10", "kept"),
    [(None, False, True), (None, True, False), (b"close", False, False), (b"Keep-Alive", True, True)],
)
def test_a_connection_persists_as_the_client_says(field: bytes | None, http10: bool, kept: bool) -> None:
    assert persists({} if field is None else {b"connection": field}, http10=http10) is kept
