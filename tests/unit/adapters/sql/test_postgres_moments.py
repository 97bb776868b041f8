"""Points in time on PostgreSQL's wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postgres_schemas import server_url

from mainstay.adapters.sql.postgres import moments
from mainstay.adapters.sql.postgres.errors import Columns
from mainstay.adapters.sql.postgres.hosts import Hosts
from mainstay.adapters.sql.postgres.link import connect
from mainstay.adapters.sql.postgres.options import Options

ZERO = datetime(2000, 1, 1, tzinfo=UTC)
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@given(st.lists(st.datetimes(timezones=st.just(UTC)), max_size=4))
def test_a_point_in_time_comes_back_as_it_was(given: list[datetime]) -> None:
    decode = moments.decoder()
    assert [decode(moments.encode(moment)) for moment in given for _ in range(2)] == [
        m for m in given for _ in range(2)
    ]


def test_another_zone_is_the_same_point_in_time() -> None:
    there = datetime(2026, 11, 23, 5, 30, tzinfo=timezone(timedelta(hours=-5)))
    found = moments.decoder()(moments.encode(there))
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
    decode = moments.decoder()
    assert decode((number,)) == moment
    assert decode((number,)) == moment


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
