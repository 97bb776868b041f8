"""The schema of an event is that of what the outbox writes: every kind of field, validated as it stands on the wire."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

import msgspec
import pytest
from event_shapes import event, schema
from jsonschema import Draft202012Validator

from mainstay import Dto, Email, Entity, Event, Url, field
from mainstay.deliver.contracts import EventSchema, schema_of, text_of
from mainstay.deliver.contracts.proving import example_of
from mainstay.model.schema import Shapes

ENCODE = msgspec.json.Encoder(decimal_format="string").encode  # as the outbox has it


class Size(StrEnum):
    SMALL = "s"
    LARGE = "l"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Spot(Dto):
    """Where it is."""

    street: str = field(max_length=10)
    number: int | None = None


class Thing(Entity):
    name: str
    pin: str = field(write_only=True, default="")


class Everything(Event, version=3):
    """One of each."""

    text: str = field(min_length=1, description="For people.")
    whole: int
    near: float = field(ge=0.5)
    yes: bool
    money: Decimal = field(ge=0, digits=6, places=2)
    at: datetime
    day: date
    hour: time
    key: UUID
    size: Size
    level: Level
    data: bytes
    mail: Email
    link: Url
    spot: Spot
    spots: list[Spot]
    tags: frozenset[str]
    scores: dict[str, int]
    anything: Any
    thing: Thing
    maybe: str | None = None
    maybe_size: Size | None = None
    maybe_spot: Spot | None = None


FULL = Everything(
    text="a",
    whole=-1,
    near=0.5,
    yes=True,
    money=Decimal("12.30"),
    at=datetime(2026, 1, 31, 9, 30, 0, 250, tzinfo=UTC),
    day=date(2026, 1, 31),
    hour=time(9, 30, tzinfo=UTC),
    key=UUID(int=7),
    size=Size.LARGE,
    level=Level.HIGH,
    data=b"\x00\xff",
    mail=Email("ann@example.com"),
    link=Url("https://example.com/"),
    spot=Spot(street="x", number=1),
    spots=[Spot(street="y")],
    tags=frozenset({"a", "b"}),
    scores={"a": 1},
    anything={"deep": [1, None]},
    thing=Thing(name="t", pin="1234"),
    maybe_spot=Spot(street="z"),
)


@pytest.fixture(scope="module")
def everything() -> EventSchema:
    return schema_of("desk.Everything", Everything, Shapes())


def faults(made: EventSchema, value: Any) -> list[str]:
    validator = Draft202012Validator(made.schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return sorted(error.message for error in validator.iter_errors(value))


def test_what_is_written_fits(everything: EventSchema) -> None:
    Draft202012Validator.check_schema(everything.schema)
    written = msgspec.json.decode(ENCODE(FULL))
    assert faults(everything, written) == []
    for name in everything.schema["required"]:
        assert faults(everything, {n: v for n, v in written.items() if n != name}), name
    assert faults(everything, {**written, "added_later": 1}) == []


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("money", 12.3), ("at", "today"), ("size", "m"), ("level", 3), ("data", "§"), ("spot", {"street": "x", "zz": 1})],
)
def test_what_is_not_written_does_not_fit(everything: EventSchema, name: str, wrong: Any) -> None:
    assert faults(everything, {**msgspec.json.decode(ENCODE(FULL)), name: wrong})


def test_fields_that_no_caller_sees_are_in_events(everything: EventSchema) -> None:
    thing = everything.schema["$defs"]["Thing"]
    assert {"pin", "version"} <= set(thing["properties"])
    assert not any("Only" in keyword for told in thing["properties"].values() for keyword in told)


def test_a_schema_names_itself_and_its_version(everything: EventSchema) -> None:
    assert everything.version == 3
    assert everything.schema["$id"] == "desk.Everything.3.json"
    assert everything.schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert everything.schema["description"] == "One of each."
    assert everything.schema["properties"]["text"]["description"] == "For people."


def test_a_decimal_says_its_digits(everything: EventSchema) -> None:
    assert everything.schema["properties"]["money"]["x-decimal"] == {"digits": 6, "places": 2, "minimum": "0"}


def test_it_is_the_same_text_each_time(everything: EventSchema) -> None:
    assert text_of(everything) == text_of(schema_of("desk.Everything", Everything, Shapes()))
    assert msgspec.json.decode(text_of(everything)) == everything.schema


def test_an_example_is_an_event(everything: EventSchema) -> None:
    example = example_of(everything)
    assert example is not None
    assert faults(everything, example) == []
    assert msgspec.json.decode(ENCODE(example), type=Everything).size is Size.SMALL


def test_where_no_example_can_be_made_there_is_none() -> None:
    assert example_of(schema({"code": (str, field(pattern="[x]{3}[y]{4}q"))})) is None


class Chain(Dto):
    name: str
    below: Chain | None = None


class Linked(Event):
    top: Chain
    itself: Linked | None = None


def test_a_struct_may_hold_itself() -> None:
    made = schema_of("desk.Linked", Linked, Shapes())
    assert made.schema["properties"]["itself"] == {"anyOf": [{"$ref": "#"}, {"type": "null"}]}
    deep = Linked(top=Chain(name="a", below=Chain(name="b")), itself=Linked(top=Chain(name="c")))
    assert faults(made, msgspec.json.decode(ENCODE(deep))) == []
    assert faults(made, {"top": {"name": "a", "below": {"name": 1}}})


def test_an_event_without_fields_is_an_empty_object() -> None:
    made = schema_of("desk.Changed", event({}), Shapes())
    assert made.schema["properties"] == {}
    assert faults(made, {}) == []
