"""Rows of PostgreSQL that are told without entities: the bytes must be those that msgspec writes of the entities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.adapters.sql import moments
from mainstay.adapters.sql.codec import RowUnreadable
from mainstay.adapters.sql.dialects.mysql import MysqlDialect
from mainstay.adapters.sql.dialects.postgres import PostgresDialect
from mainstay.adapters.sql.statements import Statements
from mainstay.adapters.sql.told import SqlKept
from mainstay.model.conditions import TRUE
from mainstay.model.fields import field, related
from mainstay.model.inputs import Many, Sort
from mainstay.model.schema import shape_of
from mainstay.model.structs import Entity
from mainstay.model.values import Secret
from mainstay.ports.rows import Query
from mainstay.ports.store import Table


class Colour(StrEnum):
    RED = "red"
    ODD = 'a "b", c'


class Grade(Enum):
    LOW = 1
    HIGH = 10


class Part(Entity):
    whole_id: UUID = field(references="Whole")


class Whole(Entity):
    """A row of all kinds that are told, there or not."""

    text: str
    number: int
    share: float
    yes: bool
    price: Decimal = field(digits=12, places=2)
    fine: Decimal = field(digits=12, places=8)
    day: date
    clock: time
    blob: bytes
    colour: Colour
    grade: Grade
    holder: UUID
    parts: Many[Part] = related("whole_id")
    text_or: str | None
    number_or: int | None
    share_or: float | None
    yes_or: bool | None
    price_or: Decimal | None = field(digits=12, places=2)
    moment_or: datetime | None
    day_or: date | None
    blob_or: bytes | None
    colour_or: Colour | None
    grade_or: Grade | None
    holder_or: UUID | None


def statements_of(entity: type[Entity], dialect: Any = None) -> Statements:
    return Statements(Table(shape=shape_of(entity), name="row", module="m"), dialect or PostgresDialect())


STATEMENTS = statements_of(Whole)
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
MOMENTS = st.datetimes(timezones=st.just(UTC)) | st.datetimes(timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)


def decimals(places: int) -> st.SearchStrategy[Decimal]:
    return st.integers(-(10**11), 10**11).map(lambda number: Decimal(number).scaleb(-places))


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "id": st.uuids(),
    "version": st.integers(0, 3),
    "created_at": MOMENTS,
    "updated_at": MOMENTS,
    "text": TEXTS,
    "number": st.integers(-(2**63), 2**63 - 1),
    "share": st.floats(),
    "yes": st.booleans(),
    "price": decimals(2),
    "fine": decimals(8),
    "day": st.dates(),
    "clock": st.times(),
    "blob": st.binary(max_size=9),
    "colour": st.sampled_from(Colour),
    "grade": st.sampled_from(Grade),
    "holder": st.uuids(),
    "moment_or": MOMENTS,
}


def iso(moment: datetime) -> str:
    """Return a point in time as PostgreSQL writes it."""
    return f"{moment.replace(tzinfo=None)}".rstrip("0" if moment.microsecond else "") + "+00"


def sent(moment: datetime) -> bytes:
    return ((moment - EPOCH) // timedelta(microseconds=1)).to_bytes(8, "big", signed=True)


def cell(name: str, value: Any, *, kept: bool) -> Any:
    """Return a value as the driver gives it."""
    match value:
        case Enum():
            return value.value
        case UUID():
            return str(value) if kept and not name.endswith("_or") else value.bytes
        case datetime():
            return iso(value) if kept and not name.endswith("_or") else sent(value)
        case Decimal():
            return format(value, "f")
    return value


@st.composite
def rows(draw: Callable[[Any], Any]) -> list[Mapping[str, Any]]:
    """Give rows, some of which were never changed."""
    made = []
    for _ in range(draw(st.integers(1, 4))):
        row: dict[str, Any] = {}
        for name in STATEMENTS.columns.by_name:
            value = VALUES[name if name in VALUES else name.removesuffix("_or")]
            row[name] = draw(value | st.none() if name.endswith("_or") else value)
        if draw(st.booleans()):
            row["updated_at"] = row["created_at"]
        made.append(row)
    return made


def cells(rows: list[Mapping[str, Any]], *, kept: bool) -> list[tuple[Any, ...]]:
    return [tuple(cell(name, value, kept=kept) for name, value in row.items()) for row in rows]


def kept_of(statements: Statements, rows: list[tuple[Any, ...]]) -> SqlKept:
    assert statements.teller is not None
    return SqlKept(rows, statements.teller, statements.codec)


@given(rows())
def test_rows_are_told_as_their_entities_are_written(rows: list[Mapping[str, Any]]) -> None:
    entities = STATEMENTS.codec.many(cells(rows, kept=False))
    kept = kept_of(STATEMENTS, cells(rows, kept=True))
    assert kept.told() == msgspec.json.encode(entities)
    assert kept.made() == entities or any(row["share"] != row["share"] for row in rows)
    names = ["id", "created_at", "price", "colour"]
    assert kept.ends_with(names) == [getattr(entities[-1], name) for name in names]


def test_no_rows_are_an_empty_list() -> None:
    kept = kept_of(STATEMENTS, [])
    assert (len(kept), kept.told(), kept.made()) == (0, b"[]", [])


def test_the_row_behind_a_page_is_let_go_of() -> None:
    kept = kept_of(statements_of(Part), [part(1), part(2), part(3)])
    kept.cut(2)
    assert len(kept) == 2
    assert [row.id for row in kept.made()] == [UUID(int=1), UUID(int=2)]
    assert kept.told() == msgspec.json.encode(kept.made())


def part(number: int, **other: Any) -> tuple[Any, ...]:
    made = "2026-11-30 12:00:00.5+00"
    row = {"id": str(UUID(int=number)), "version": 1, "created_at": made, "updated_at": made}
    return tuple({**row, "whole_id": str(UUID(int=7)), **other}.values())


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("infinity", datetime.max.replace(tzinfo=UTC)),
        ("-infinity", datetime.min.replace(tzinfo=UTC)),
        ("10000-01-01 00:00:00+00", datetime.max.replace(tzinfo=UTC)),
        ("12345-01-01 00:00:00.12345+00", datetime.max.replace(tzinfo=UTC)),
        ("0044-03-15 12:00:00+00 BC", datetime.min.replace(tzinfo=UTC)),
        ("2026-11-30 12:00:00.25+05:30", datetime(2026, 11, 30, 6, 30, 0, 250_000, UTC)),
    ],
)
def test_points_in_time_that_are_written_otherwise_are_made(text: str, moment: datetime) -> None:
    kept = kept_of(statements_of(Part), [part(1), part(2, updated_at=text)])
    assert kept.told() is None
    assert [row.updated_at for row in kept.made()][1:] == [moment]
    assert kept.ends_with(["updated_at"]) == [moment]
    assert kept.made()[1].updated_at.tzinfo is UTC


def test_a_text_of_another_style_is_no_point_in_time() -> None:
    with pytest.raises(ValueError, match="isoformat"):
        moments.read("Mon Nov 30 12:00:00 2026 UTC")


def test_a_row_that_cannot_be_read_is_told_by_its_entity() -> None:
    row = dict(zip(STATEMENTS.columns.by_name, [None] * len(STATEMENTS.columns.by_name), strict=True))
    kept = kept_of(STATEMENTS, [tuple({**row, "colour": "blue"}.values())])
    assert kept.told() is None
    with pytest.raises(RowUnreadable, match="Whole"):
        kept.made()
    with pytest.raises(RowUnreadable, match="Whole"):
        kept.ends_with(["colour"])


def test_rows_are_ordered_by_values_and_not_by_their_texts() -> None:
    query = Query(where=TRUE, sort=(Sort("created_at"), Sort("id")), limit=3)
    text, _ = STATEMENTS.select(query, kept=True)
    assert text.startswith('SELECT "id"::text AS mainstay_text, "version", "created_at"::text AS mainstay_text, ')
    assert text.endswith('ORDER BY "created_at" ASC, "id" ASC LIMIT ?')
    assert 'pg_catalog.timestamptz_send("moment_or")' in text
    assert STATEMENTS.select(query)[0] != text


class Listed(Entity):
    words: list[str]


class Hidden(Entity):
    key: Secret[UUID]


class Checked(Entity):
    name: str

    def __post_init__(self) -> None:
        assert self.name


class Tagged(Entity, tag="kind"):
    name: str


@pytest.mark.parametrize("entity", [Listed, Hidden, Checked, Tagged])
def test_what_is_not_known_is_not_told(entity: type[Entity]) -> None:
    assert statements_of(entity).teller is None


def test_where_it_would_be_more_work_nothing_is_told() -> None:
    assert statements_of(Part, MysqlDialect()).teller is None
