"""Points in time on PostgreSQL's wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postgres_schemas import server_url

from mainstay.adapters.sql import moments
from mainstay.adapters.sql.postgres.errors import Columns
from mainstay.adapters.sql.postgres.hosts import Hosts
from mainstay.adapters.sql.postgres.link import connect
from mainstay.adapters.sql.postgres.options import Options

ZERO = datetime(2000, 1, 1, tzinfo=UTC)
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@given(st.lists(st.datetimes(timezones=st.just(UTC)), max_size=4))
def test_a_point_in_time_comes_back_as_it_was(given: list[datetime]) -> None:
    assert [moments.decode(moments.encode(moment)) for moment in given] == given


def test_another_zone_is_the_same_point_in_time() -> None:
    there = datetime(2026, 11, 23, 5, 30, tzinfo=timezone(timedelta(hours=-5)))
    found = moments.decode(moments.encode(there))
    assert found == there
    assert found.tzinfo is UTC


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        moments.encode(datetime(2026, 1, 1))  # noqa: DTZ001 - that is what is refused


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (2**63 - 1, LAST),
        (-(2**63), FIRST),
        (0, datetime(2000, 1, 1, tzinfo=UTC)),
        (1, datetime(2000, 1, 1, 0, 0, 0, 1, UTC)),
    ],
)
def test_what_no_datetime_holds_is_its_first_or_last(number: int, moment: datetime) -> None:
    assert moments.decode((number,)) == moment
    assert moments.read(_cell(number)) == moment
    assert moments.read_many([_cell(number)] * 2) == [moment] * 2


def _cell(number: int) -> bytes:
    return number.to_bytes(8, "big", signed=True)


AWAY = (1 << 32) * 1_000_000  # so many microseconds from 1970 a column is read value by value
IN_1970 = -946_684_800_000_000


@given(st.lists(st.integers(IN_1970 - AWAY - 9, IN_1970 + AWAY + 9), min_size=1, max_size=50))
def test_a_column_holds_what_its_cells_hold(numbers: list[int]) -> None:
    cells = [_cell(number) for number in numbers]
    found = moments.read_many(cells)
    assert found == [moments.decode((number,)) for number in numbers]
    assert all(moment.tzinfo is UTC for moment in found)


LAST_OF_NOW = (11 << 48) // 1_000_000 + 946_684_800


@pytest.mark.parametrize("second", [-(1 << 32) + 1, -1, 0, 946_684_799, 1 << 31, LAST_OF_NOW, (1 << 32) - 2])
def test_no_microsecond_of_a_column_is_lost(second: int) -> None:
    first = IN_1970 + second * 1_000_000
    numbers = [*range(first, first + 1_000_000, 31), *range(first + 999_900, first + 1_000_100)]
    assert moments.read_many([_cell(n) for n in numbers]) == [moments.decode((n,)) for n in numbers]


async def test_the_server_reads_and_writes_the_same() -> None:
    url = server_url()
    link = await connect(Options(url=url), Columns(), Hosts(url), write=True, primary=True)
    try:
        for moment in (FIRST, datetime(1999, 12, 31, 23, 59, 59, 999_999, UTC), LAST):
            rows = await link.fetch("SELECT $1::timestamptz, $1::timestamptz::text, ARRAY[$1::timestamptz]", (moment,))
            assert rows[0][0] == moment
            assert rows[0][1].startswith(f"{moment:%Y-%m-%d %H:%M:%S}".zfill(19))
            assert rows[0][2] == [moment]
        rows = await link.fetch("SELECT 'infinity'::timestamptz, '-infinity'::timestamptz", ())
        assert tuple(rows[0]) == (LAST, FIRST)
    finally:
        await link.close()
