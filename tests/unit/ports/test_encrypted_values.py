"""Values as bytes and back: the same value of the same type, in a form that never changes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay import Dto, Secret, field
from mainstay.model.fields import FieldSpec
from mainstay.model.schema import attribute_of
from mainstay.ports.encrypted_values import Codec, value_codec


class Size(StrEnum):
    SMALL = "small"


class Level(Enum):
    LOW = 1


class Place(Dto):
    street: str = field(max_length=5)


def codec(annotation: Any, **spec: Any) -> Codec:
    return value_codec(attribute_of("held", annotation, FieldSpec(**spec)))


EXACT: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(),
    bytes: st.binary(),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    datetime: st.datetimes(timezones=st.just(UTC)).map(lambda value: value.replace(fold=0)),
    date: st.dates(),
    time: st.times().map(lambda value: value.replace(fold=0)),
    UUID: st.uuids(),
    Size: st.sampled_from(Size),
    Level: st.sampled_from(Level),
    list[int]: st.lists(st.integers(-(2**63), 2**63 - 1)),
    dict[str, str]: st.dictionaries(st.text(), st.text()),
    Secret[str]: st.text().map(Secret),
}


@given(st.data())
def test_every_value_comes_back(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(list(EXACT)))
    encode, decode = codec(kind)
    value = data.draw(EXACT[kind])
    found = decode(encode(value))
    assert (found, type(found), repr(found)) == (value, type(value), repr(value))


@given(st.integers(-(10**18) + 1, 10**18 - 1), st.integers(0, 18))
def test_decimals_keep_their_places(scaled: int, places: int) -> None:
    encode, decode = codec(Decimal, digits=18, places=places)
    value = Decimal(scaled).scaleb(-places)
    assert str(decode(encode(value))) == str(value)


def test_a_field_may_get_more_places_and_none_is_rounded_off() -> None:
    encode, _ = codec(Decimal, digits=10, places=2)
    _, wider = codec(Decimal, digits=12, places=4)
    _, narrower = codec(Decimal, digits=10, places=1)
    assert str(wider(encode(Decimal("1.25")))) == "1.2500"
    assert narrower(encode(Decimal("1.50"))) == Decimal("1.5")
    with pytest.raises(ArithmeticError):
        narrower(encode(Decimal("1.25")))


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        (str, "tea ✓", "tea ✓".encode()),
        (int, -2, b"\xff\xff\xff\xff\xff\xff\xff\xfe"),
        (float, 1.5, b"\x3f\xf8\0\0\0\0\0\0"),
        (bool, True, b"\1"),
        (datetime, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), (1_000_000).to_bytes(8, "big")),
        (date, date(2026, 1, 2), b"2026-01-02"),
        (time, time(1, 2), b"01:02:00.000000"),
        (UUID, UUID(int=5), UUID(int=5).bytes),
        (Size, Size.SMALL, b'"small"'),
        (Level, Level.LOW, b"1"),
        (Place, Place(street="a"), b'{"street":"a"}'),
        (Decimal, Decimal("1.000000"), b"\x06" + (1_000_000).to_bytes(8, "big")),
    ],
)
def test_the_form_is_what_was_stored_before(kind: Any, value: Any, stored: bytes) -> None:
    encode, decode = codec(kind)
    assert encode(value) == stored
    assert decode(stored) == value


def test_a_stored_document_is_not_held_to_the_bounds_of_today() -> None:
    _, decode = codec(Place)
    assert decode(b'{"street":"longer than today"}').street == "longer than today"


_ORDINARY = (ValueError, LookupError, struct.error)


@pytest.mark.parametrize("kind", [int, float, bool, datetime, date, time, UUID, Size, Level, Decimal, Place])
def test_bytes_that_are_no_value_are_refused(kind: Any) -> None:
    decode: Callable[[bytes], Any] = codec(kind)[1]
    for raw in (b"", b"xyz"):
        with pytest.raises(_ORDINARY):
            decode(raw)
