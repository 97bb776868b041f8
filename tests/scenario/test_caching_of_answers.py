"""What caches are told: nothing that was not declared, and nothing that is for one caller to all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import pytest

from mainstay import (
    Dto,
    Entity,
    File,
    Find,
    Many,
    Module,
    Page,
    Policy,
    Principal,
    Repository,
    Service,
    Stream,
    anyone,
    authenticated,
    cache,
    field,
    header,
    limit,
    owner,
    related,
    role,
)
from mainstay.model.checks import check_service
from mainstay.testing import Client, as_principal


class Tea(Entity):
    name: str = field(max_length=40)


class Cup(Entity):
    tea_id: UUID = field(references=Tea)


class Pot(Entity):
    size: int = 1
    cups: Many[Cup] = related("tea_id")


class Secretive(Entity):
    price: int = field(default=0, read=role("manager"))


class Own(Entity, rows=owner("whose")):
    whose: UUID


class Shown(Dto):
    own: list[Own] = []


menu = Module("menu")
menu.resource(Tea, path="/teas", read=anyone, create=anyone, update=anyone, cache=cache(60, shared=300, cdn=3600))
menu.resource(Cup, path="/cups", read=authenticated, cache=cache(30))


@menu.query(
    "GET /greetings/{name}",
    allow=anyone,
    cache=cache(
        10,
        shared=True,
        stale_while_revalidate=5,
        stale_if_error=600,
        vary=["Accept-Language"],
        keys=["hi", "hi:{name}:{x}"],
    ),
)
async def greet(name: str, x: int = 0, region: Annotated[str, header("X-Region")] = "") -> str:
    """Say hello."""
    return name


@menu.query("GET /fixed", allow=anyone, cache=cache(31_536_000, shared=True, with_credentials=True, immutable=True))
async def fixed() -> str:
    """Say the same to all, always."""
    return "fixed"


@menu.query("GET /limited", allow=anyone, cache=cache(60, shared=True), limits=[limit("20/minute")])
async def limited() -> str:
    """Be asked now and then."""
    return "limited"


@menu.query("GET /plain", allow=anyone)
async def plain() -> str:
    """Declare nothing."""
    return "plain"


@menu.query("GET /paper", allow=anyone, cache=cache(60))
async def paper() -> File:
    """Give a file."""
    return File(content=b"paper")


SERVICE = Service("menu", modules=[menu])
ANN = as_principal("ann")


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(SERVICE) as client:
        yield client


async def tea(client: Client) -> tuple[str, Any]:
    made = await client.post("/teas", json={"name": "green"})
    client.clock.advance(timedelta(seconds=10).total_seconds())
    return made.headers["location"], made.json


async def test_what_was_not_declared_is_not_kept(client: Client) -> None:
    answer = await client.get("/plain")
    assert answer.headers["cache-control"] == "no-store"
    assert {"etag", "last-modified", "surrogate-key", "cdn-cache-control", "age"}.isdisjoint(answer.headers)


async def test_a_row_in_a_shared_cache(client: Client) -> None:
    path, row = await tea(client)
    answer = await client.get(path)
    assert answer.headers["cache-control"] == "public, max-age=60, s-maxage=300"
    assert answer.headers["cdn-cache-control"] == answer.headers["surrogate-control"] == "max-age=3600"
    assert answer.headers["surrogate-key"] == f"tea tea/{row['id']}"
    assert answer.headers["last-modified"].endswith(" GMT")
    assert "age" not in answer.headers


async def test_with_credentials_it_is_the_callers_own(client: Client) -> None:
    path, _ = await tea(client)
    answer = await client.get(path, who=ANN)
    assert answer.headers["cache-control"] == "private, max-age=60"
    assert {"surrogate-key", "cdn-cache-control", "surrogate-control"}.isdisjoint(answer.headers)
    everyones = await client.get("/fixed", who=ANN)
    assert everyones.headers["cache-control"] == "public, max-age=31536000, immutable"


async def test_without_shared_it_is_private(client: Client) -> None:
    answer = await client.get("/cups", who=ANN)
    assert answer.headers["cache-control"] == "private, max-age=30"
    assert "surrogate-key" not in answer.headers


async def test_a_page_names_its_rows_and_has_a_validator(client: Client) -> None:
    empty = await client.get("/teas")
    assert empty.headers["surrogate-key"] == "tea"
    _, row = await tea(client)
    answer = await client.get("/teas")
    assert answer.headers["surrogate-key"] == f"tea tea/{row['id']}"
    assert (await client.get("/teas", headers={"if-none-match": answer.headers["etag"]})).status == 304
    assert empty.headers["etag"] != answer.headers["etag"]
    assert "last-modified" not in answer.headers


async def test_of_very_many_rows_only_the_kind_is_named(client: Client) -> None:
    await client.given(*(Tea(name=str(number)) for number in range(200)))
    answer = await client.get("/teas", query={"limit": 200})
    keys = answer.headers["surrogate-key"].split(" ")
    assert len(answer.json["items"]) == 200
    assert len(answer.headers["surrogate-key"]) <= 8192
    assert keys == ["tea"]


async def test_what_it_depends_on_and_its_keys(client: Client) -> None:
    answer = await client.get("/greetings/J%C3%BCrg%20A,%0D%0Ab", query={"x": 3})
    expected = "public, max-age=10, stale-while-revalidate=5, stale-if-error=600"
    assert answer.headers["cache-control"] == expected
    assert answer.headers["surrogate-key"] == "hi hi:J%C3%BCrg%20A%2C%0D%0Ab:3"
    vary = {name.strip() for name in answer.headers["vary"].split(",")}
    assert vary == {"Accept", "X-Region", "Accept-Language"}


async def test_the_date_of_a_row_is_a_validator(client: Client) -> None:
    path, _ = await tea(client)
    first = await client.get(path)
    since = {"if-modified-since": first.headers["last-modified"]}
    again = await client.get(path, headers=since)
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert again.headers["cache-control"] == first.headers["cache-control"]
    # a tag goes before a date (RFC 9110, section 13.2.2)
    assert (await client.get(path, headers={**since, "if-none-match": '"other"'})).status == 200
    for odd in ("yesterday", "", "Mon, 01 Jan 2001 00:00:00 GMT"):
        assert (await client.get(path, headers={"if-modified-since": odd})).status == 200
    # a part of a row has no date: what of it is shown may change without it
    assert "last-modified" not in (await client.get(path, query={"fields": "name"})).headers
    assert (await client.get(path, query={"fields": "name"}, headers=since)).status == 200
    client.clock.advance(5)
    await client.patch(path, json={"name": "black"}, headers={"if-match": "*"})
    changed = await client.get(path, headers=since)
    assert (changed.status, changed.json["name"]) == (200, "black")
    assert "last-modified" not in changed.headers  # it may change once more in the same second
    client.clock.advance(5)
    assert "last-modified" in (await client.get(path)).headers


async def test_what_is_shared_says_nothing_of_one_caller(client: Client) -> None:
    shared, own = await client.get("/limited"), await client.get("/limited", who=ANN)
    assert {"ratelimit", "ratelimit-policy"}.isdisjoint(shared.headers)
    assert {"ratelimit", "ratelimit-policy"} <= set(own.headers)


async def test_refusals_and_changes_are_not_kept(client: Client) -> None:
    missing = await client.get(f"/teas/{UUID(int=5)}")
    assert (missing.status, missing.headers["cache-control"]) == (404, "no-store")
    made = await client.post("/teas", json={"name": "x"})
    assert made.headers["cache-control"] == "no-store"
    assert "surrogate-key" not in made.headers


async def test_a_file_may_be_kept(client: Client) -> None:
    answer = await client.get("/paper", headers={"accept": "*/*"})
    assert (answer.body, answer.headers["cache-control"]) == (b"paper", "private, max-age=60")


async def test_the_contract_says_what_may_be_kept(client: Client) -> None:
    paths = (await client.get("/openapi.json")).json["paths"]
    page, row, plain = (paths[path]["get"] for path in ("/teas", "/teas/{id}", "/plain"))
    assert {"ETag", "Cache-Control"} <= set(page["responses"]["200"]["headers"])
    assert {"ETag", "Cache-Control", "Last-Modified"} <= set(row["responses"]["200"]["headers"])
    assert "If-None-Match" in [parameter["name"] for parameter in page["parameters"]]
    assert "304" in page["responses"]
    assert "304" not in plain["responses"]
    assert "headers" not in plain["responses"]["200"]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: cache(-1),
        lambda: cache(1.5),  # type: ignore[arg-type]  # the mistake
        lambda: cache(True),
        lambda: cache(10**10),
        lambda: cache(1, shared=-3),
        lambda: cache(1, cdn=-1),
        lambda: cache(1, stale_if_error=-1),
        lambda: cache(1, vary=["*"]),
        lambda: cache(1, vary=["A B"]),
        lambda: cache(1, keys=["a b"]),
        lambda: cache(1, keys=["a,b"]),
        lambda: cache(1, keys=["a\r\nb"]),
        lambda: cache(1, with_credentials=True),
    ],
)
def test_what_no_field_can_say(wrong: Any) -> None:
    with pytest.raises(ValueError, match="cache: "):
        wrong()


SHARED = cache(60, shared=True)


def told(returns: Any, allow: Policy = anyone, how: Any = SHARED, **parameters: Any) -> list[str]:
    module = Module("m")

    async def use_case() -> Any: ...

    use_case.__annotations__ = {"return": returns}
    names = ", ".join(parameters)
    scope: dict[str, Any] = {}
    exec(f"async def use_case({names}): ...", scope)
    made = scope["use_case"]
    made.__annotations__ = {**parameters, "return": returns}
    module.query("GET /it", allow=allow, cache=how)(made)
    return [fault.message for fault in check_service(Service("s", modules=[module])).faults]


DEPENDS = "cache= is shared, and the answer depends on the caller: "


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"returns": Tea, "allow": authenticated}, "not everybody may have it (allow=authenticated)"),
        ({"returns": Tea, "who": Principal}, "it looks at who calls (Principal)"),
        ({"returns": Own}, "Own has a policy on rows"),
        ({"returns": Page[Own], "find": Find[Own]}, "Own has a policy on rows"),
        ({"returns": Shown}, "Own has a policy on rows"),
        ({"returns": int, "owns": Repository[Own]}, "Own has a policy on rows"),
        ({"returns": list[Secretive]}, "Secretive.price has a policy for reading"),
        ({"returns": Secretive | None}, "Secretive.price has a policy for reading"),
    ],
)
def test_what_depends_on_the_caller_is_not_shared(given: dict[str, Any], reason: str) -> None:
    assert told(**given) == [DEPENDS + reason]
    assert told(**given, how=cache(60)) == []
    assert told(**given, how=cache(60, cdn=10)) == [DEPENDS + reason]


def test_a_resource_is_checked_too() -> None:
    module = Module("m")
    module.resource(Own, path="/own", read=anyone, cache=SHARED)
    module.resource(Tea, path="/teas", read=authenticated, cache=SHARED)
    module.resource(Cup, path="/cups", create=anyone, cache=cache(5))
    messages = [fault.message for fault in check_service(Service("s", modules=[module])).faults]
    assert messages == [
        DEPENDS + "Own has a policy on rows",
        DEPENDS + "not everybody may have it (allow=authenticated)",
        "cache= is for what is read, and nobody may read it",
    ]


def test_other_mistakes() -> None:
    assert told(Stream[int], how=cache(5)) == ["cache=: a stream is not kept"]
    assert told(int, how=60) == ["cache=60: write cache(60), in seconds"]
    message = "cache=: sku stands in a key, and is no parameter of the path or the query"
    assert told(int, how=cache(5, keys=["x:{sku}"])) == [message]
