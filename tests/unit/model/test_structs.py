"""Structs: frozen, keyword-only, bounded as declared, and silent about what is secret."""

from __future__ import annotations

import copy
import inspect
import pickle
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

import msgspec
import pytest

from mainstay import UNASSIGNED, Dto, Email, Entity, Event, Many, Principal, Secret, field, owner, related
from mainstay.model.fields import MISSING, FieldSpec
from mainstay.model.schema import shape_of
from mainstay.model.structs import EPOCH


class Order(Entity, rows=owner("customer_id")):
    customer_id: UUID
    note: str = "none"
    lines: Many[OrderLine] = related("order_id")


class OrderLine(Entity):
    order_id: UUID = field(references="Order")


class Login(Dto):
    name: str
    password: str = field(secret=True)
    pin: str = field(write_only=True, default="0000")
    key: Secret[str]


class Early(Dto):
    """Names what is declared below it."""

    constant: ClassVar[int] = 3
    shared: ClassVar[Later]
    small: Small = field(ge=1, default=1)
    at: Moment | None = None
    later: Later | None = None
    tags: list[str] = field(default_factory=list)

    class Inner(Dto):
        number: int

    inner: Inner | None = None


class Later(Dto):
    number: int


Small = int
Moment = datetime


def decode(struct: Any, text: str) -> Any:
    return msgspec.json.decode(text, type=struct)


def test_a_row_holds_what_is_not_assigned_yet() -> None:
    order = Order(customer_id=UUID(int=1))
    assert (order.id, order.version, order.created_at, order.updated_at) == (UNASSIGNED, 0, EPOCH, EPOCH)
    assert order.note == "none"
    assert order.lines is msgspec.UNSET
    loaded = Order(customer_id=UUID(int=1), lines=[OrderLine(order_id=order.id)])
    assert loaded.lines[0].order_id == order.id


def test_rows_are_frozen_and_take_keywords_only() -> None:
    order = Order(customer_id=UUID(int=1))
    with pytest.raises(AttributeError, match="immutable"):
        order.note = "changed"  # type: ignore[misc]  # that is the fault
    with pytest.raises(AttributeError, match="immutable"):
        del order.note
    with pytest.raises(TypeError, match="positional"):
        Later(1)  # type: ignore[call-arg,misc]  # that is the fault
    with pytest.raises(TypeError, match="customer_id"):
        Order()  # type: ignore[call-arg]  # that is the fault


def test_rows_are_values() -> None:
    one, other = (Later(number=1) for _ in range(2))
    assert (one, hash(one)) == (other, hash(other))
    order = Order(customer_id=UUID(int=1))
    assert pickle.loads(pickle.dumps(order)) == copy.deepcopy(order) == order
    assert Early().tags is not Early().tags


@pytest.mark.parametrize("shown", [repr, str, "{}".format, lambda x: repr([x]), lambda x: repr(x.__rich_repr__())])
def test_no_text_of_a_struct_shows_a_secret(shown: Any) -> None:
    text = shown(Login(name="ann", password="hunter2", pin="1234", key=Secret("topsecret")))
    assert "ann" in text
    assert not any(word in text for word in ("hunter2", "1234", "topsecret"))


def test_a_policy_on_rows_is_inherited() -> None:
    class Special(Order):
        extra: int = field(ge=1, default=1)

    assert Special.__mainstay_rows__ is Order.__mainstay_rows__
    assert [*Special.__mainstay_fields__][-3:] == ["customer_id", "note", "extra"]
    assert "lines" in Special.__mainstay_relations__
    with pytest.raises(TypeError):
        Special.__mainstay_fields__["extra"] = FieldSpec()  # type: ignore[index]  # it is read-only, that is the test


@pytest.mark.parametrize(
    "text", ['{"small": 0}', '{"at": "2026-01-01T00:00:00"}', '{"inner": {"number": 9223372036854775808}}']
)
def test_names_declared_further_down_keep_their_bounds(text: str) -> None:
    shape = shape_of(Early)
    assert [a.name for a in shape.attributes] == ["small", "at", "later", "tags", "inner"]
    with pytest.raises(msgspec.ValidationError):
        decode(Early, text)
    assert decode(Early, '{"small": 2, "later": {"number": 1}}').later == Later(number=1)


def test_unknown_fields_are_refused_unless_told_otherwise() -> None:
    class Lax(Dto, unknown="ignore"):
        number: int

    class StillLax(Lax):
        other: int = 1

    class Strict(Lax, unknown="refuse"): ...

    class Told(Event):
        number: int

    text = '{"number": 1, "more": 2}'
    for struct in (Lax, StillLax, Told):
        assert decode(struct, text).number == 1
    for struct in (Later, Strict):
        with pytest.raises(msgspec.ValidationError, match="unknown field"):
            decode(struct, text)


class Bounded(Dto):
    both: Annotated[int, msgspec.Meta(ge=5)] = field(le=9, default=5)
    above: Annotated[int, msgspec.Meta(gt=5)] = field(ge=5, default=6)
    below: Annotated[int, msgspec.Meta(lt=5)] = field(le=4, default=3)
    text: Annotated[str, msgspec.Meta(pattern="^a")] = field(pattern="[a-z]+", default="ab")
    mail: Email | None = field(max_length=10, default=None)
    some: list[int] = field(min_length=1, max_length=2, default_factory=lambda: [1])
    part: float = field(gt=0, lt=1, default=0.5)
    open: int = field(gt=0, lt=10, default=5)
    maybe: int | None = field(ge=1, default=None)
    times: dict[str, datetime] = field(default_factory=dict)
    plain: Annotated[int, "a note"] = field(ge=1, default=1)
    word: str = field(pattern=r"\d+", default="1")


@pytest.mark.parametrize(
    "text",
    [
        '{"both": 4}',
        '{"both": 10}',
        '{"above": 5}',
        '{"below": 5}',
        '{"text": "ba"}',
        '{"text": "ab\\n"}',
        '{"text": "aB"}',
        '{"mail": "aaaaaaaaa@b.de"}',
        '{"some": []}',
        '{"some": [1, 2, 3]}',
        '{"part": 0}',
        '{"part": 1}',
        '{"open": 0}',
        '{"open": 10}',
        '{"maybe": 0}',
        '{"times": {"a": "2026-01-01T00:00:00"}}',
        '{"some": [9223372036854775808]}',
        '{"plain": 0}',
        '{"word": "\u0661"}',
        '{"word": "1\\n"}',
    ],
)
def test_bounds_of_the_type_and_of_the_field_hold_together(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(Bounded, text)


def test_what_is_within_the_bounds_is_taken() -> None:
    text = (
        '{"both": 9, "above": 6, "below": 4, "text": "abc", "mail": "a@b.de", "some": [1, 2], "part": 0.1, '
        '"open": 9, "maybe": null, "times": {"a": "2026-01-01T00:00:00Z"}}'
    )
    assert decode(Bounded, text).times == {"a": datetime(2026, 1, 1, tzinfo=UTC)}
    assert Bounded() == decode(Bounded, "{}")


def make(**body: Any) -> Any:
    return type(Dto)("Made", (Dto,), {"__module__": __name__, **body})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"x": field(default=1)}, "Made.x has no type"),
        ({"x": related("y")}, "Made.x has no type"),
        ({"__annotations__": {"x": list}, "x": field(default=[1])}, "default_factory"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused(body: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make(**body)


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match='unknown="drop"'):
        type(Dto)("Made", (Dto,), {"__module__": __name__}, unknown="drop")  # type: ignore[call-overload]  # the fault
    with pytest.raises(TypeError, match="takes one of them"):
        field(default=1, default_factory=int)


def test_a_module_that_is_not_loaded_resolves_nothing_early() -> None:
    made = make(__module__="nowhere.at.all", __annotations__={"x": "int", "y": "Lost"})
    assert made.__annotations__["y"] == "Lost"
    with pytest.raises(NameError):
        shape_of(made)


def test_field_takes_what_a_spec_holds() -> None:
    given = inspect.signature(field).parameters
    assert list(given) == list(FieldSpec.__struct_fields__)
    assert field() == FieldSpec()
    assert (field().required, field(default=None).required, field(default_factory=list).required) == (
        True,
        False,
        False,
    )
    assert repr(MISSING) == "MISSING"


def test_a_principal_is_nobody_somebody_or_the_service() -> None:
    assert (Principal.anonymous.authenticated, Principal.system.authenticated) == (False, True)
    assert Principal.system.is_system
    with pytest.raises(TypeError):
        Principal(id=UUID(int=1)).claims["x"] = 1  # type: ignore[index]  # read-only, that is the test
