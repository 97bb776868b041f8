"""What an operation is explained with: its input by names, values of rows that are there, and whoever may call it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pytest

from mainstay import (
    Dto,
    Email,
    Entity,
    Event,
    Find,
    Module,
    Page,
    Principal,
    Repository,
    Service,
    Stream,
    anyone,
    authenticated,
    field,
    header,
    owner,
    role,
    scope,
)
from mainstay.app.assembly import assemble
from mainstay.app.explaining import Asked, Explanation, explain, text_of
from mainstay.app.refusal import Refusal
from mainstay.app.settings import Settings, load
from mainstay.testing import Recorder, as_principal
from mainstay.testing.backstage import Backstage

ANN = as_principal("ann")


class Cup(Entity):
    code: str = field(unique=True, max_length=20)
    size: int = 1


class Sale(Entity, rows=owner("buyer_id")):
    buyer_id: UUID
    cup_id: UUID = field(references=Cup)


class Sold(Event):
    code: str


class Buy(Dto):
    code: str
    pieces: int = field(ge=1)


class Shelf(Entity):
    label: str = field(unique=True, pattern="[A-Z]{3}-[0-9]{4}")
    mail: Email = field(unique=True)
    place: int = field(unique=True)
    keeper_id: UUID = field(unique=True)


class Odd(Dto):
    word: str = field(pattern="[q-z]{7}[0-9]{9}", min_length=16)
    count: int = field(ge=1)


heard: list[Any] = []


async def broken() -> int:
    raise ZeroDivisionError("it broke")


async def note(event: Sold, stock: Repository[Cup]) -> None:
    await stock.count(code=event.code)


def service(case: Any = "snake") -> Service:
    cups = Module("cups")
    cups.resource(Cup, path="/cups", read=anyone, create=role("potter"), update=role("potter"), delete=role("potter"))

    @cups.command("POST /sales", status=201, allow=authenticated, idempotency="required")
    async def buy(wanted: Buy, who: Principal, stock: Repository[Cup], sales: Repository[Sale]) -> Sale:
        found = await stock.one(code=wanted.code)
        return await sales.add(Sale(buyer_id=who.id, cup_id=found.id))

    @cups.query("GET /sales/{sale_id}", allow=role("clerk") & scope("sales"))
    async def get_sale(sale_id: UUID, sales: Repository[Sale], who: Principal) -> Sale:
        heard.append(who)
        return await sales.get(sale_id)

    @cups.query("GET /sales", allow=authenticated)
    async def list_sales(find: Find[Sale], sales: Repository[Sale], size: int) -> Page[Sale]:
        return await sales.page(find)

    @cups.query("GET /cups/all", allow=anyone)
    async def all_cups(stock: Repository[Cup]) -> Stream[Cup]:
        async for cup in stock.stream():
            yield cup

    @cups.query("GET /where", allow=anyone)
    async def where(place: Annotated[str, header("X-Place")]) -> str:
        heard.append(place)
        return place

    @cups.command("POST /odd", allow=anyone)
    async def odd(wanted: Odd) -> str:
        return wanted.word

    cups.resource(Shelf, path="/shelves", create=anyone, read=anyone)
    cups.query("GET /broken", allow=anyone)(broken)
    cups.on(Sold)(note)
    return Service("cups", modules=[cups], case=case)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    environ = {
        "MAINSTAY_PROFILE": "test",
        "MAINSTAY_DATABASE_CREATE": "true",
        "MAINSTAY_DATABASE_URL": "sqlite:///cups.db",
    }
    return load(tmp_path, environ=environ)


async def given(settings: Settings, *rows: Entity) -> Sequence[Any]:
    application = assemble(service(), settings, observer=Recorder())
    await application.start(deliver=False)
    bound, ports = application.bound, application.ports
    try:
        stage = Backstage(
            ports.store, {p.shape.type: p for p in bound.plans.values()}, ports.clock, ports.ids, ports.sealer
        )
        return await stage.given(*rows)
    finally:
        await application.stop()


async def explained(settings: Settings, operation: str, case: Any = "snake", **more: Any) -> Explanation:
    return await explain(service(case), settings, Asked(operation=operation, **more))


async def test_input_is_made_of_rows_that_are_there(settings: Settings) -> None:
    (cup,) = await given(settings, Cup(code="BLUE"))
    made = await explained(settings, "buy")
    assert (made.input, made.made_up) == ({"code": "BLUE", "pieces": 1}, ["code", "pieces"])
    assert made.outcome == "answered 201"
    shown = await explained(settings, "get_cup")
    assert (shown.target, shown.outcome) == (f"GET /cups/{cup.id}", "answered 200")
    assert (await explained(settings, "cups.get_cup")).outcome == "answered 200"


async def test_a_new_row_takes_no_value_of_another(settings: Settings) -> None:
    await given(settings, Cup(code="BLUE"))
    made = await explained(settings, "create_cup")
    assert (made.outcome, made.plans) == ("answered 201", True)
    assert made.input["code"] != "BLUE"
    changed = await explained(settings, "update_cup", given={"code": "RED"})
    assert changed.outcome == "answered 200"
    assert made.caller.endswith("(potter)")


async def test_unique_fields_of_a_new_row_are_new(settings: Settings) -> None:
    for case in ("snake", "camel"):
        made = await explained(settings, "create_shelf", case)
        assert re.fullmatch("[A-Z]{3}-[0-9]{4}", made.input["label"])
        assert made.input["mail"].endswith("@example.com")
        assert made.outcome == "answered 201", made.outcome


async def test_who_may_call_is_found_and_owns_a_row(settings: Settings) -> None:
    (cup,) = await given(settings, Cup(code="BLUE"))
    (sale,) = await given(settings, Sale(buyer_id=ANN.id, cup_id=cup.id))
    made = await explained(settings, "get_sale")
    assert (made.target, made.outcome) == (f"GET /sales/{sale.id}", "answered 200")
    assert made.caller == f"{ANN.id} (clerk, sales)"
    assert (heard[-1].id, heard[-1].roles) == (ANN.id, {"clerk"})
    refused = await explained(settings, "get_sale", who=as_principal("bob"))
    assert refused.outcome.startswith("refused: forbidden")
    assert (await explained(settings, "get_cup", who=Principal.anonymous)).caller == "nobody known"


async def test_a_query_takes_its_parameters_by_names(settings: Settings) -> None:
    made = await explained(settings, "list_sales", given={"size": 3, "limit": 2})
    assert (made.target, made.outcome) == ("GET /sales?size=3&limit=2", "answered 200")
    routed = await explained(settings, "get /sales?size=3&limit=2")
    assert routed.target == made.target
    assert (await explained(settings, "GET /cups/all")).operation == "all_cups"


async def test_a_route_may_name_a_version(settings: Settings) -> None:
    shop = Module("shop")

    async def first() -> int:
        return 1

    async def second() -> int:
        return 2

    shop.query("GET /number", allow=anyone, until="1")(first)
    shop.query("GET /number", allow=anyone, since="2")(second)
    numbers = Service("numbers", modules=[shop], versions=["1", "2"])
    for path, name in (("/v1/number", "first"), ("/v2/number", "second")):
        made = await explain(numbers, settings, Asked(operation=f"GET {path}"))
        assert made.operation == name
    with pytest.raises(Refusal, match="no operation answers GET /v3/number"):
        await explain(numbers, settings, Asked(operation="GET /v3/number"))


async def test_names_are_those_of_the_wire(settings: Settings) -> None:
    made = await explained(settings, "get_sale", "camel", given={"saleId": str(UUID(int=7))})
    assert made.target == f"GET /sales/{UUID(int=7)}"
    assert made.outcome.startswith("refused: not_found")


async def test_streams_are_taken_for_a_while(settings: Settings) -> None:
    await given(settings, *(Cup(code=f"C{n}") for n in range(1100)))
    made = await explained(settings, "all_cups")
    assert (made.outcome, made.statements[0].action) == ("answered 200", "stream")
    assert 1000 <= (made.statements[0].met or 0) < 1100


async def test_headers_are_input_too(settings: Settings) -> None:
    assert (await explained(settings, "where", given={"X-Place": "here"})).outcome == "answered 200"
    assert heard[-1] == "here"


async def test_what_cannot_be_made_up_is_asked_for(settings: Settings) -> None:
    with pytest.raises(Refusal) as refused:
        await explained(settings, "odd")
    assert refused.value.message == "odd needs more input: word (a value that its rules allow)"
    assert refused.value.remedies == ("""--input '{"word": ...}'""",)
    made = await explained(settings, "odd", given={"word": "qrstuvw123456789"})
    assert (made.outcome, made.input) == ("answered 200", {"word": "qrstuvw123456789", "count": 1})


async def test_a_fault_of_the_code_is_told(settings: Settings) -> None:
    made = await explained(settings, "broken")
    assert made.failed
    assert made.outcome.endswith("(ZeroDivisionError: it broke)")


async def test_consumers_are_explained_by_their_events(settings: Settings) -> None:
    await given(settings, Cup(code="BLUE"))
    assert (await explained(settings, "note", external=True)).input == {"code": "BLUE"}
    with pytest.raises(Refusal, match="a consumer may reach beyond the database"):
        await explained(settings, "note", given={"code": "BLUE"})
    for _ in range(2):  # no mark is left of the first one
        made = await explained(settings, "note", given={"code": "BLUE"}, external=True)
        assert (made.outcome, made.caller) == ("answered 204", "the system")
        assert "count Cup where code = ?" in [reading.words for reading in made.statements]
    assert "and nothing of it is kept" in text_of(made)
