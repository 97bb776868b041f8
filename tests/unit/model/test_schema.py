"""Shapes: fields with their types taken apart, once."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest

from mainstay import Dto, Email, Entity, Many, Secret, field, related
from mainstay.model.conditions import Condition
from mainstay.model.naming import camel_case, table_name, wire_name, wire_names
from mainstay.model.schema import COMPARABLE, FieldKind, Shapes, attribute_of, shape_of


class Colour(Enum):
    RED = "red"


class Size(IntEnum):
    SMALL = 1


class Inner(Dto):
    number: int


class Bag(msgspec.Struct):
    """No struct of the model's own."""

    number: int


class Shelf(Entity):
    """Holds books.

    In rows.
    """

    name: str = field(max_length=10)
    pin: str = field(secret=True, default="")
    inward: str = field(write_only=True, default="")
    token: Secret[str]
    mail: Email | None = None
    books: Many[Book] = related("shelf_id")


class Book(Entity):
    shelf_id: UUID


@pytest.mark.parametrize(
    ("annotation", "kind", "base"),
    [
        (str, FieldKind.STRING, str),
        (int, FieldKind.INTEGER, int),
        (float, FieldKind.FLOAT, float),
        (bool, FieldKind.BOOLEAN, bool),
        (Decimal, FieldKind.DECIMAL, Decimal),
        (datetime, FieldKind.DATETIME, datetime),
        (date, FieldKind.DATE, date),
        (time, FieldKind.TIME, time),
        (UUID, FieldKind.UUID, UUID),
        (bytes, FieldKind.BYTES, bytes),
        (Colour, FieldKind.ENUM, Colour),
        (Size, FieldKind.ENUM, Size),
        (Inner, FieldKind.STRUCT, Inner),
        (Bag, FieldKind.STRUCT, Bag),
        (list[int], FieldKind.LIST, list),
        (set[int], FieldKind.LIST, set),
        (frozenset[int], FieldKind.LIST, frozenset),
        (tuple[int, ...], FieldKind.LIST, tuple),
        (list, FieldKind.LIST, list),
        (tuple, FieldKind.LIST, tuple),
        (dict[str, int], FieldKind.MAP, dict),
        (dict, FieldKind.MAP, dict),
        (Any, FieldKind.ANY, Any),
        (Secret[str], FieldKind.STRING, str),
        (Secret, FieldKind.STRING, str),
        (Email, FieldKind.STRING, str),
    ],
)
def test_a_type_has_a_kind(annotation: Any, kind: FieldKind, base: Any) -> None:
    for optional, written in ((False, annotation), (True, annotation | None)):
        made = attribute_of("x", written)
        assert (made.kind, made.base, made.optional) == (kind, base, optional)
        assert made.type == written


@pytest.mark.parametrize(
    "annotation", [object, int | str, tuple[int, str], Condition.__call__, list[object], dict[str, int | str], complex]
)
def test_a_type_that_is_none_of_the_model(annotation: Any) -> None:
    with pytest.raises(TypeError, match=r"^x: "):
        attribute_of("x", annotation)


def test_annotations_are_taken_apart() -> None:
    made = attribute_of("x", Annotated[Annotated[int, msgspec.Meta(ge=1)] | None, "note", msgspec.Meta(le=5)])
    assert ([(m.ge, m.le) for m in made.metas], made.optional, made.format) == ([(None, 5), (1, None)], True, None)
    assert attribute_of("x", Email).format == "email"
    assert attribute_of("x", int | msgspec.UnsetType).optional is False
    items = attribute_of("x", dict[str, list[Inner]]).items
    assert items is not None
    assert items.items is not None
    assert (items.kind, items.items.base) == (FieldKind.LIST, Inner)


def test_a_shape_keeps_columns_and_relations_apart() -> None:
    shape = Shapes().of(Shelf)
    own = [a.name for a in shape.attributes][4:]
    assert (shape.name, shape.doc.partition("\n")[0]) == ("Shelf", "Holds books.")
    assert own == ["name", "pin", "inward", "token", "mail"]
    assert [a.name for a in shape.attributes if a.hidden] == ["pin", "inward", "token"]
    (books,) = shape.relations
    assert (books.base, books.kind, books.optional) == (Book, FieldKind.MANY, True)
    assert books.relation is not None
    assert (books.relation.key, books.spec.required) == ("shelf_id", False)
    assert set(shape.by_name) == {a.name for a in (*shape.attributes, *shape.relations)}
    assert shape.types["token"] is str
    assert "books" not in shape.types


def test_shapes_are_made_once() -> None:
    shapes = Shapes()
    assert shapes.of(Shelf) is shapes.of(Shelf)
    assert hash(shapes.of(Shelf)) == hash(shape_of(Shelf))
    assert shape_of(Bag).by_name["number"].spec.required


@pytest.mark.parametrize(
    ("spec", "digits", "places"),
    [({}, 18, 6), ({"digits": 5}, 5, 0), ({"digits": 5, "places": 2}, 5, 2), ({"places": 0}, 18, 0)],
)
def test_a_decimal_has_digits_and_places(spec: dict[str, int], digits: int, places: int) -> None:
    made = attribute_of("x", Decimal, field(**spec))
    assert (made.digits, made.places) == (digits, places)


def test_what_has_an_order_can_be_compared() -> None:
    assert FieldKind.STRING in COMPARABLE
    assert not COMPARABLE & {FieldKind.STRUCT, FieldKind.LIST, FieldKind.MAP, FieldKind.ANY, FieldKind.MANY}


@pytest.mark.parametrize(
    ("name", "camel"), [("created_at", "createdAt"), ("id", "id"), ("_a_b", "_aB"), ("a__b", "aB"), ("a_1", "a1")]
)
def test_names_on_the_wire(name: str, camel: str) -> None:
    assert camel_case(name) == wire_name(name, "camel") == camel
    assert wire_name(name, "snake") == name


def test_a_name_that_was_given_on_the_wire_stays() -> None:
    class Told(Dto, rename={"one_name": "TOLD"}):
        one_name: int
        other_name: int

    assert wire_names(Told, "camel") == {"one_name": "TOLD", "other_name": "otherName"}
    assert wire_names(Told, "snake") == {"one_name": "TOLD", "other_name": "other_name"}
    assert table_name("shop", Told) == "shop_told"
