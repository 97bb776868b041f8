"""Values: what is put in comes back, to the digit, the microsecond and the last character."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest

from mainstay.model.inputs import Sort
from mainstay.model.problem import Invalid
from mainstay.model.values import Secret
from mainstay.ports.rows import Query
from mainstay.testing.conformance.model import Address, Colour, Everything, Grade
from mainstay.testing.conformance.world import Entities, StoreSuite, World

EAST = timezone(timedelta(hours=14))
WEST = timezone(-timedelta(hours=12))

SAME: list[tuple[str, Any]] = [
    *(
        ("text", text)
        for text in ("", " ", "a\tb\r\nc", "\x01\x1f\x7f", "\ufeffbom", "\u202eright to left", "z" * 20_000)
    ),
    *(("text", text) for text in ("'; DROP TABLE x; --", '"', "\\", "\\u0000", "%s %d {0} ${x}", "null", "NaN", "1e3")),
    *(("text", text) for text in ("é e\u0301", "ﷺ", "👩‍👩‍👧‍👦", "\U0010ffff", "\ufffd\ufffe\uffff", "i̇ıİ", "日本語")),
    *(("number", number) for number in (0, -1, 2**53 + 1, -(2**63), 2**63 - 1)),
    *(("real", real) for real in (0.1, -1.5, 5e-324, 1.7976931348623157e308, 1e22, 2.0**53 + 2)),
    *(("flag", flag) for flag in (True, False)),
    ("amount", Decimal("0.0001")),
    ("amount", Decimal("-99999999999999.9999")),
    ("whole", Decimal("999999999999999999")),
    ("plain", Decimal("-0.000001")),
    ("at", datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)),
    ("at", datetime(1, 1, 1, tzinfo=UTC)),
    ("at", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ("at", datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ("day", date(1, 1, 1)),
    ("day", date(9999, 12, 31)),
    ("hour", time(23, 59, 59, 999999)),
    ("hour", time(0)),
    ("key", UUID(int=0)),
    ("key", UUID(int=2**128 - 1)),
    ("colour", Colour.BLUE),
    ("grade", Grade.HIGH),
    ("data", b""),
    ("data", bytes(range(256))),
    ("address", Address(street="", numbers=[], note=None)),
    ("address", Address(street="Ré 'x'", numbers=[1, -(2**63), 2**63 - 1], note="")),
    ("tags", []),
    ("tags", ["", "a", "\x01", "🦉"]),
    ("shades", [Colour.RED, Colour.BLUE, Colour.RED]),
    ("limits", {}),
    ("limits", {"": 0, "é": 2**63 - 1}),
    *(("free", free) for free in (None, 0, 1.5, "x", True, [], [None, {"a": [1]}], {"a": {"b": None}})),
    ("email", "a.b+c@example.org"),
    ("url", "https://example.org/a?b=c#d"),
    ("password", Secret("hunter2")),
    ("password", Secret("")),
    ("hidden", "hunter2"),
    ("maybe", None),
    ("maybe", ""),
    ("count", None),
]

NORMAL: list[tuple[str, Any, str]] = [
    ("amount", Decimal("1.5"), "Decimal('1.5000')"),
    ("amount", Decimal("15E-1"), "Decimal('1.5000')"),
    ("amount", Decimal("1.50000000"), "Decimal('1.5000')"),
    ("amount", Decimal("-0"), "Decimal('0.0000')"),
    ("amount", Decimal("0E+50"), "Decimal('0.0000')"),
    ("whole", Decimal("1E+3"), "Decimal('1000')"),
    ("plain", Decimal(2), "Decimal('2.000000')"),
    ("real", 3, "3.0"),
    ("real", -0.0, "0.0"),
    (
        "at",
        datetime(2026, 3, 1, 1, 0, 0, 5, tzinfo=EAST),
        repr(datetime(2026, 2, 28, 11, 0, 0, 5, tzinfo=UTC)),
    ),
    ("at", datetime(2026, 3, 1, 1, tzinfo=WEST), repr(datetime(2026, 3, 1, 13, tzinfo=UTC))),
    ("tags", ("a", "b"), "['a', 'b']"),
]

REFUSED: list[tuple[str, Any, str]] = [
    ("text", "a\x00b", "null_character"),
    ("text", "\ud800", "surrogate"),
    ("text", None, "null"),
    ("text", 5, "type"),
    ("number", 2**63, "too_large"),
    ("number", -(2**63) - 1, "too_small"),
    ("number", True, "type"),
    ("real", float("nan"), "not_finite"),
    ("real", float("-inf"), "not_finite"),
    ("amount", Decimal("0.00001"), "too_many_places"),
    ("amount", Decimal("100000000000000"), "too_many_digits"),
    ("amount", Decimal("sNaN"), "not_finite"),
    ("amount", 1.5, "type"),
    ("at", datetime(2026, 1, 1), "zone"),  # noqa: DTZ001 - the fault that is looked for
    ("at", datetime(1, 1, 1, tzinfo=EAST), "out_of_range"),
    ("at", datetime(9999, 12, 31, 23, tzinfo=WEST), "out_of_range"),
    ("tags", ["a", "\x00"], "null_character"),
    ("email", "no address", "format"),
]


def _named(value: Any) -> str | None:
    return repr(value)[:30] if not isinstance(value, str) else None


class ValuesConformance(StoreSuite):
    """Each kind of field, through add, update and every way of reading."""

    entities: ClassVar[Entities] = (Everything,)

    @pytest.mark.parametrize(("field", "value"), SAME, ids=_named)
    async def test_a_value_comes_back_as_it_was(self, world: World, field: str, value: Any) -> None:
        (row,) = await world.add(Everything(**{field: value}))
        assert repr(_open(row, field)) == repr(_reveal(value))
        await self._kept(world, row, field, value)

    @pytest.mark.parametrize(("field", "value"), SAME, ids=_named)
    async def test_a_value_that_is_set_later_comes_back_as_it_was(self, world: World, field: str, value: Any) -> None:
        (row,) = await world.add(Everything(text="first", number=7, maybe="x", count=1, tags=["old"], free="old"))
        async with world.command() as hands:
            row = await hands.rows(Everything).update(row, **{field: value})
        await self._kept(world, row, field, value)

    @pytest.mark.parametrize("number", [1, 3])
    async def test_rows_are_whole_but_for_the_fields_that_need_not_be_read(self, world: World, number: int) -> None:
        unread = ("text", "amount", "data", "address", "tags", "shades", "limits", "free", "password", "maybe")
        rows = [Everything(text=f"t{n}", number=n, maybe="m", tags=["a"], email="a@b.de") for n in range(number)]
        made = await world.add(*rows)
        async with world.query() as hands:
            stored = hands.unit.transaction().rows(Everything)
            query = Query(sort=(Sort("number", descending=True),), unread=unread)
            found = await stored.fetch(query)
            again = await stored.fetch(msgspec.structs.replace(query, unread=()))
        assert again == made[::-1]
        for row, whole in zip(found, again, strict=True):
            read = {name: getattr(row, name) for name in row.__struct_fields__ if name not in unread}
            assert read == {name: getattr(whole, name) for name in read}

    async def _kept(self, world: World, row: Everything, field: str, value: Any) -> None:
        kept = await world.get(Everything, row.id)
        assert kept == row
        assert repr(_open(kept, field)) == repr(_reveal(value))
        async with world.query() as hands:
            paged = (await hands.rows(Everything).page()).items
            streamed = [each async for each in hands.rows(Everything).stream()]
        assert paged == streamed == [row]
        assert repr(_open(paged[0], field)) == repr(_reveal(value))

    @pytest.mark.parametrize(("field", "value", "expected"), NORMAL, ids=_named)
    async def test_a_value_is_returned_in_the_form_that_is_stored(
        self, world: World, field: str, value: Any, expected: str
    ) -> None:
        added, other = await world.add(Everything(**{field: value}), Everything())
        async with world.command() as hands:
            updated = await hands.rows(Everything).update(other, **{field: value})
        for row in (added, updated, await world.get(Everything, added.id), await world.get(Everything, other.id)):
            assert repr(getattr(row, field)) == expected

    @pytest.mark.parametrize(("field", "value", "code"), REFUSED, ids=_named)
    async def test_a_value_that_no_store_can_hold_is_refused(
        self, world: World, field: str, value: Any, code: str
    ) -> None:
        (row,) = await world.add(Everything())
        async with world.command() as hands:
            with pytest.raises(Invalid) as added:
                await hands.rows(Everything).add(msgspec.structs.replace(Everything(), **{field: value}))
            with pytest.raises(Invalid) as updated:
                await hands.rows(Everything).update(row, **{field: value})
        for raised in (added, updated):
            assert [fault.code for fault in raised.value.faults] == [code]
            assert str(raised.value.faults[0].pointer).startswith(f"/{field}")
        assert await world.all(Everything) == [row]

    async def test_a_secret_is_shown_in_no_representation(self, world: World) -> None:
        (row,) = await world.add(Everything(password=Secret("hunter2"), hidden="hunter2"))
        kept = await world.get(Everything, row.id)
        assert "hunter2" not in repr(kept)
        assert kept.password is not None
        assert kept.password.reveal() == "hunter2"
        assert await world.all(Everything, password=Secret("hunter2")) == [kept]


def _reveal(value: Any) -> Any:
    return value.reveal() if isinstance(value, Secret) else value


def _open(row: Everything, field: str) -> Any:
    return _reveal(getattr(row, field))
