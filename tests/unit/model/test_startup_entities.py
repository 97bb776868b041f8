"""Start-up refusals of entities, resources and modules."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import msgspec
import pytest

from mainstay import Dto, Email, Entity, Event, Many, Module, Service, anyone, field, owner, related, signed, where
from mainstay.model.checks import check_service
from mainstay.model.operation import self_authenticated

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForTypes


class Thing(Entity):
    name: str


class OtherThing(Entity):
    name: str


class Slow(Dto):
    text: str = field(pattern="(a+)+b")


class Deep(Dto):
    by_name: dict[str, list[Slow]] = {}


class Outer(Dto):
    deep: Deep
    again: Outer | None = None


class Lost(Dto):
    price: OnlyForTypes


class Holds(Dto):
    lost: list[Lost] = []


def entity(rows: Any = None, **fields: Any) -> type[Entity]:
    """Make an entity of (annotation, default) pairs."""
    body: dict[str, Any] = {"__module__": __name__, "__annotations__": {n: a for n, (a, *_) in fields.items()}}
    body.update({n: rest[0] for n, (_, *rest) in fields.items() if rest})
    return type(Entity)("Made", (Entity,), body, **({} if rows is None else {"rows": rows}))


def faults_of(*modules: Module) -> list[str]:
    return [f"{f.subject}: {f.message}" for f in check_service(Service("s", modules=modules)).faults]


def only(*entities: type[Entity]) -> str:
    module = Module("things")
    module.entity(*entities)
    faults = faults_of(module)
    assert len(faults) == 1, faults
    return faults[0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"id": (int,)}, "every entity has this field already"),
        ({"version": (str, "a")}, "every entity has this field already"),
        ({"kind": (int | str,)}, "no type of the model"),
        ({"kind": (object,)}, "no type of the model"),
        ({"pair": (tuple[int, str],)}, "name them in a Dto"),
        ({"kids": (Many[Thing],)}, "needs = related"),
        ({"kids": (list[Thing], related("x"))}, "needs the type Many"),
        ({"kids": (Many[Slow], related("x"))}, "needs the type Many"),
        ({"kids": (Many[Thing], related("parent_id"))}, "Thing has no field parent_id"),
        ({"number": (int, field(ge=5, le=1))}, "no number is within"),
        ({"number": (Decimal, field(gt=5.5, lt=Decimal(5)))}, "no number is within"),
        ({"number": (Decimal, field(ge="1"))}, "ge='1': a bound is a number"),
        ({"number": (Decimal, field(le=Decimal("nan")))}, "a bound is a number"),
        ({"number": (int, field(ge=5, default=1))}, "its default must be at least 5"),
        ({"number": (int, field(default="1"))}, "its default must be an integer"),
        ({"number": (int, field(default=None))}, "its default may not be null"),
        ({"text": (str, field(min_length=3, max_length=2))}, "min_length is more than max_length"),
        ({"text": (str, field(pattern="[0-9]+", default="x"))}, "its default must match"),
        ({"text": (Annotated[str, msgspec.Meta(pattern=r"^(a+)+b\Z")],)}, "pattern '^(a+)+b"),
        ({"text": (Annotated[str, msgspec.Meta(pattern="a+$")],)}, "does not match the whole string"),
        ({"text": (Annotated[str, msgspec.Meta(pattern="a")], field(pattern="b"))}, "does not match the whole string"),
        ({"text": (dict[str, Annotated[str, msgspec.Meta(pattern="(a+)+b")]],)}, "pattern '(a+)+b'"),
        ({"text": (str, field(read="anyone"))}, "'anyone' is no policy"),
        ({"text": (str, field(write=owner("nobody")))}, "no field nobody"),
        ({"slow": (Slow,)}, "Slow.text: pattern"),
    ],
)
def test_what_is_said_of_a_field_makes_sense(fields: dict[str, Any], message: str) -> None:
    assert message in only(entity(**fields))


def test_sound_fields() -> None:
    module = Module("things")
    made = entity(
        number=(int, field(ge=1, le=1, default=1)),
        maybe=(int | None, field(default=None, ge=1)),
        mail=(Email, field(default="a@b.de")),
        text=(Annotated[str, msgspec.Meta(pattern=r"^[a-z]+\Z")], field(default="a")),
        both=(str, field(pattern="[a-z]+", default="a")),
        parent=(UUID | None, field(references=Thing, on_delete="null", default=None)),
        names=(list[str], field(default_factory=list)),
    )
    module.entity(made)
    assert faults_of(module) == []


@pytest.mark.parametrize("rows", ["x", owner("kids"), where(lambda row, who: row.kids == 1)])
def test_a_policy_on_rows_makes_sense(rows: Any) -> None:
    assert "rows=" in only(entity(rows, kids=(Many[OtherThing], related("name"))))


def test_a_pattern_is_looked_for_wherever_input_goes() -> None:
    module = Module("things")

    @module.command("POST /a", allow=anyone)
    async def take(body: Outer) -> None: ...

    (fault,) = faults_of(module)
    assert fault.startswith("Slow.text: pattern")


def test_a_name_inside_that_does_not_resolve_is_told() -> None:
    module = Module("things")

    @module.command("POST /a", allow=anyone)
    async def take(body: Holds) -> None: ...

    (fault,) = faults_of(module)
    assert fault.startswith("Lost: an annotation does not resolve")


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda m: m.resource(Thing, path="/things"), "serves nothing"),
        (lambda m: m.resource(Thing, path="things", read=anyone), "path of a resource is plain"),
        (lambda m: m.resource(Thing, path="/a/{b}", read=anyone), "path of a resource is plain"),
        (lambda m: m.resource(Thing, path="/a b", read=anyone), "path of a resource is plain"),
        (lambda m: m.resource(Thing, path="/things", read="anyone"), "'anyone' is no policy"),
        (lambda m: m.resource(Thing, path="/things", create=signed("s", secret="x")), "takes a RawBody"),
        (lambda m: m.resource(Thing, path="/things", create=self_authenticated), "takes a RawBody"),
        (lambda m: m.resource(Thing, path="/things", update=owner("nobody")), "no field nobody"),
    ],
)
def test_a_resource_makes_sense(declare: Callable[[Module], Any], message: str) -> None:
    module = Module("things")
    declare(module)
    (fault,) = faults_of(module)
    assert message in fault


@pytest.mark.parametrize("other", [Slow, Entity, "Thing", None])
def test_what_is_no_entity_is_refused_at_once(other: Any) -> None:
    module = Module("things")
    with pytest.raises(TypeError, match="is no entity"):
        module.resource(other, path="/things", read=anyone)
    with pytest.raises(TypeError, match="is no entity"):
        module.entity(Thing, other)


def test_two_modules_may_use_the_same_names_but_their_own() -> None:
    here, there = Module("here"), Module("there")
    first, second = entity(a=(int,)), entity(a=(int,))
    here.entity(first)
    there.entity(second)
    assert faults_of(here, there) == []
    assert "another module is named here" in faults_of(here, Module("here"))[0]
    assert "is the kernel's" in faults_of(Module("mainstay"))[0]


def test_two_entities_may_not_share_a_table() -> None:
    class OrderLine(Entity):
        a: int

    class Line(Entity):
        a: int

    shop, shop_order = Module("shop"), Module("shop_order")
    shop.entity(OrderLine)
    shop_order.entity(Line)
    assert "Line: its table shop_order_line is that of shop.OrderLine too" in faults_of(shop, shop_order)


def test_two_events_of_one_name() -> None:
    one = type(Event)("Said", (Event,), {"__module__": __name__})
    other = type(Event)("Said", (Event,), {"__module__": __name__})
    module = Module("things")

    async def heard() -> None: ...

    module.on(one, name="first")(heard)
    module.on(other, name="second")(heard)
    assert "another event is named things.Said too" in faults_of(module)[0]
