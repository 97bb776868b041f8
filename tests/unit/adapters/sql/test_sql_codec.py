"""Rows come back as they were put in, and stay readable when the model's rules get tighter."""

from __future__ import annotations

import decimal
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sql_samples import Address, Colour, Plain, Rank, Sample, opened, row, table

from mainstay.adapters.sql import values
from mainstay.adapters.sql.codec import RowUnreadable
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.model.conditions import TRUE
from mainstay.model.fields import field
from mainstay.model.inputs import Sort
from mainstay.model.schema import attribute_of, shape_of
from mainstay.model.structs import Entity
from mainstay.model.values import Secret
from mainstay.ports.documents import document_codec
from mainstay.ports.rows import Query

FULL: dict[str, Any] = {
    "text": "a'b\"c\n😀",
    "number": -(2**63),
    "price": Decimal("-9999999999.99"),
    "cost": Decimal("0.0001"),
    "ratio": 0.1 + 0.2,
    "flag": False,
    "at": datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC),
    "day": date(1, 1, 1),
    "hour": time(23, 59, 59, 1),
    "ref": UUID(int=5),
    "colour": Colour.BLUE,
    "rank": Rank.HIGH,
    "plain": Plain.TWO,
    "raw": b"\x00\xff",
    "secret": Secret("hush"),
    "tags": ["a", "é"],
    "home": Address("Main Street", 5),
    "extra": {"a": 1},
}


async def keep(store: SqliteStore, entity: type[Entity], *rows: Any) -> None:
    begun = store.begin(write=True)
    begun.rows(entity).insert(rows)
    await begun.commit()


async def test_every_kind_of_field_comes_back(tmp_path: Path) -> None:
    full, empty = row(Sample, 1, **FULL), row(Sample, 2)
    async with opened(tmp_path, table(Sample)) as store:
        await keep(store, Sample, full, empty)
        read = store.begin(write=False)
        rows = read.rows(Sample)
        assert await rows.get(full.id, TRUE) == full
        assert await rows.get(empty.id, TRUE) == empty
        both = await rows.fetch(Query(sort=(Sort("id"),)))
        assert both == [full, empty]
        for found in (both[0], await rows.get(full.id, TRUE)):
            for name, value in FULL.items():
                assert type(getattr(found, name)) is type(value), name
            assert found.at.tzinfo is UTC
            assert found.secret.reveal() == "hush"
        assert [each async for each in rows.stream(Query(sort=(Sort("id", True),)))] == [empty, full]
        await read.rollback()


class Loose(Entity):
    name: str
    size: int
    home: Address | None = None
    tags: list[str] = field(default_factory=list)


class TightAddress(msgspec.Struct, frozen=True):
    street: str
    city: str = "here"


TightList = list[str]


class Tight(Entity):
    name: str = field(max_length=2, pattern="[a-z]+")
    size: int = field(ge=100)
    home: TightAddress | None = None
    tags: list[str] = field(default_factory=list, max_length=1)


async def test_a_row_from_before_the_rules_got_tighter_is_read(tmp_path: Path) -> None:
    old = row(Loose, 1, name="LONG NAME", size=1, home=Address("Main Street", 5), tags=["a", "b"])
    async with opened(tmp_path, table(Loose, "things")) as store:
        await keep(store, Loose, old, row(Loose, 2, name="B", size=2))
    async with opened(tmp_path, table(Tight, "things")) as store:
        read = store.begin(write=False)
        found = await read.rows(Tight).get(old.id, TRUE)
        assert (found.name, found.size, found.tags) == ("LONG NAME", 1, ["a", "b"])
        assert found.home == TightAddress("Main Street", "here")
        assert await read.rows(Tight).fetch(Query(sort=(Sort("id"),), limit=1)) == [found]
        assert len(await read.rows(Tight).fetch(Query())) == 2
        await read.rollback()


class Shirt(Entity):
    colour: Colour


class ShirtText(Entity):
    colour: str


async def test_a_value_that_the_model_has_no_form_for_names_the_entity_and_not_the_row(tmp_path: Path) -> None:
    async with opened(tmp_path, table(ShirtText, "shirt")) as store:
        await keep(store, ShirtText, row(ShirtText, 1, colour="green"), row(ShirtText, 2, colour="red"))
    async with opened(tmp_path, table(Shirt, "shirt")) as store:
        read = store.begin(write=False)
        assert (await read.rows(Shirt).get(UUID(int=2), TRUE)).colour is Colour.RED
        with pytest.raises(RowUnreadable, match="Shirt does not fit"):
            await read.rows(Shirt).get(UUID(int=1), TRUE)
        with pytest.raises(RowUnreadable, match="Shirt does not fit"):
            await read.rows(Shirt).fetch(Query())
        await read.rollback()


@given(
    st.datetimes(timezones=st.just(UTC) | st.just(timezone(timedelta(hours=-3)))), st.datetimes(timezones=st.just(UTC))
)
def test_the_order_of_stored_moments_is_that_of_time(one: datetime, other: datetime) -> None:
    if one.year > 9998 or one.year < 2:
        return
    assert (values.moment(one) < values.moment(other)) == (one < other)
    assert datetime.fromisoformat(values.moment(one)) == one
    assert len(values.moment(one)) == 27


def test_a_moment_without_a_zone_is_not_stored() -> None:
    with pytest.raises(values.Unstorable, match="zone"):
        values.moment(datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused


@given(st.integers(-(10**17), 10**17), st.integers(0, 12))
def test_decimals_are_exact_whatever_the_context_of_the_thread(number: int, places: int) -> None:
    value = Decimal(number).scaleb(-places)
    with decimal.localcontext() as context:
        context.prec = 3
        stored = values.scale(places)(value)
        back = values.unscale(places)(stored)
    assert stored == number
    assert back == value
    assert str(back) == str(value)


@pytest.mark.parametrize("value", [Decimal("0.001"), Decimal("NaN"), Decimal("Infinity"), Decimal("1e-300")])
def test_a_decimal_is_refused_rather_than_rounded(value: Decimal) -> None:
    with pytest.raises(values.Unstorable):
        values.scale(2)(value)


class Node(msgspec.Struct, frozen=True):
    name: str
    colour: Colour = Colour.RED
    price: Decimal | None = None
    at: datetime | None = None
    token: Secret[str] | None = None
    below: list[Node] = []
    ranks: dict[int, Rank] = {}
    pair: tuple[int, ...] | None = None
    seen: frozenset[UUID] = frozenset()
    weight: float = 1.0
    raw: bytes = b""
    free: Any = None


NODE = Node(
    "a",
    Colour.BLUE,
    Decimal("1.10"),
    datetime(2026, 1, 1, tzinfo=UTC),
    Secret("x"),
    [Node("b")],
    {3: Rank.HIGH},
    (1, 2),
    frozenset({UUID(int=1)}),
    2.5,
    b"\x00",
    {"any": [1]},
)


def test_a_document_comes_back_as_its_types() -> None:
    encode, decode = document_codec(attribute_of("node", Node))
    assert decode(encode(NODE)) == NODE


def test_a_document_that_the_types_refuse_is_built_by_its_shape() -> None:
    class Strict(Node, frozen=True, forbid_unknown_fields=True):
        pass

    encode, _ = document_codec(attribute_of("node", Node))
    _, decode = document_codec(attribute_of("node", Strict))
    text = encode(NODE).replace('"name":"a"', '"name":"a","gone":1')
    found = decode(text)
    assert type(found) is Strict
    assert {n: getattr(found, n) for n in Node.__struct_fields__} == {
        n: getattr(NODE, n) for n in Node.__struct_fields__
    }


@pytest.mark.parametrize(
    ("text", "message"), [('{"colour":"red"}', "lacks a field"), ('{"name":"a","colour":"green"}', "no Colour")]
)
def test_a_document_without_a_form_says_why(text: str, message: str) -> None:
    _, decode = document_codec(attribute_of("node", Node))
    with pytest.raises(ValueError, match=message):
        decode(text)


def test_a_document_cannot_hold_what_has_no_json() -> None:
    with pytest.raises(TypeError, match="no form in JSON"):
        values.json_text({"a": object()})


def test_the_shape_of_the_sample_has_every_kind() -> None:
    assert len({a.kind for a in shape_of(Sample).attributes}) == 14


class Half(Entity):
    whole: int
    double: int = 0

    def __post_init__(self) -> None:
        if self.double != self.whole * 2:
            raise ValueError("it is not double")


async def test_an_entity_that_looks_at_itself_is_looked_at_when_read(tmp_path: Path) -> None:
    good = row(Half, 1, whole=2, double=4)
    async with opened(tmp_path, table(Half)) as store:
        await keep(store, Half, good)
        found = store.begin(write=False).rows(Half)
        assert await found.get(good.id, TRUE) == good
        assert await found.fetch(Query()) == [good]
        turn: Any = store.engine.turn()
        turn = await turn
        turn.execute(f"UPDATE {table(Half).name} SET double = 5")
        await turn.commit()
        with pytest.raises(RowUnreadable, match="not double"):
            await store.begin(write=False).rows(Half).fetch(Query())
