"""MessagePack beside JSON, by the whole pipeline: one validation, one fingerprint, the same values in either."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest

from mainstay import Dto, Entity, File, Module, RawBody, Service, Stream, Upload, anyone, field
from mainstay.testing import Client

pack, unpack = msgspec.msgpack.encode, msgspec.msgpack.decode
NAMES = ("application/vnd.msgpack", "application/msgpack", "application/x-msgpack")
PACKED = {"content-type": "application/msgpack"}


class Inner(Dto):
    name: str = field(max_length=5)


class Wanted(Dto):
    count: int = field(ge=0)
    price: Decimal = field(digits=6, places=2)
    at: datetime
    who: UUID
    data: bytes = b""
    inner: list[Inner] = []
    more: dict[str, Any] = {}
    ratio: float = 0.0


class Thing(Entity):
    name: str = field(max_length=20)
    note: str | None = None


def service() -> Service:
    module = Module("m")
    module.resource(Thing, path="/things", read=anyone, create=anyone, update=anyone)

    @module.command("POST /echo", allow=anyone)
    async def echo(wanted: Wanted) -> Wanted:
        return wanted

    @module.command("POST /raw", allow=anyone)
    async def raw(body: RawBody) -> int:
        return len(body)

    @module.command("POST /file", allow=anyone)
    async def file(file: Upload) -> str:
        return file.media_type

    @module.query("GET /stream", allow=anyone)
    async def stream() -> Stream[int]:
        async def items() -> AsyncIterator[int]:
            yield 1

        return Stream(items())

    @module.query("GET /download", allow=anyone)
    async def download() -> File:
        return File(content=b"x")

    return Service("s", modules=[module])


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(service()) as client:
        yield client


SAMPLE: dict[str, Any] = {
    "count": 3,
    "price": "12.50",
    "at": "2026-11-23T10:00:00Z",
    "who": str(UUID(int=7)),
    "data": "AAE=",
    "inner": [{"name": "żółw"}],
    "more": {"a": [1, 2.5, None, True, {"b": "c"}]},
    "ratio": 0.5,
}


def packed(**changes: Any) -> bytes:
    return pack({**SAMPLE, **changes})


@pytest.mark.parametrize("name", NAMES)
async def test_what_is_said_in_one_is_said_in_the_other(client: Client, name: str) -> None:
    plain = await client.post("/echo", json=SAMPLE)
    answer = await client.post("/echo", body=packed(), headers={"content-type": name, "accept": name})
    assert (answer.status, answer.headers["content-type"]) == (200, name)
    assert unpack(answer.body) == plain.json == SAMPLE
    assert "Accept" in answer.headers["vary"]
    assert "Accept" in plain.headers["vary"]


async def test_bytes_may_be_bytes(client: Client) -> None:
    answer = await client.post("/echo", body=packed(data=b"\x00\x01"), headers=PACKED)
    assert (answer.status, answer.json["data"]) == (200, "AAE=")


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        ("application/msgpack", "application/msgpack"),
        ("application/msgpack, application/json", "application/json"),
        ("application/msgpack, application/json;q=0.9", "application/msgpack"),
        ("application/*", "application/json"),
        ("application/*, application/json;q=0.1", "application/vnd.msgpack"),
        ("text/html, */*;q=0.1", "application/json"),
        ("application/json;q=0, */*", "application/vnd.msgpack"),
        ("APPLICATION/MSGPACK ; q=0.3", "application/msgpack"),
        ("", "application/json"),
    ],
)
async def test_what_is_wanted_most(client: Client, accept: str, given: str) -> None:
    answer = await client.get("/things", headers={"accept": accept})
    assert (answer.status, answer.headers["content-type"]) == (200, given)


@pytest.mark.parametrize("path", ["/stream", "/download"])
async def test_what_is_no_json_is_not_given_in_it(client: Client, path: str) -> None:
    assert (await client.get(path, headers={"accept": "application/msgpack"})).status == 406
    assert (await client.get(path, headers={"accept": "*/*"})).status == 200


async def test_raw_bodies_and_files_are_left_as_they_are(client: Client) -> None:
    assert (await client.post("/raw", body=packed(), headers=PACKED)).json == len(packed())
    assert (await client.post("/file", body=packed(), headers=PACKED)).json == "application/msgpack"


async def test_problems_are_json(client: Client) -> None:
    headers = {**PACKED, "accept": "application/msgpack"}
    answer = await client.post("/echo", body=packed(count=-1, inner=[{"name": "too long"}], x=1), headers=headers)
    assert (answer.status, answer.headers["content-type"]) == (422, "application/problem+json")
    assert {fault["pointer"] for fault in answer.json["faults"]} == {"/count", "/inner/0/name", "/x"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\xc1", "msgpack_syntax"),
        (packed()[:-1], "msgpack_syntax"),
        (packed() + b"\xc0", "msgpack_syntax"),
        (b"\x82\xa5count\x01\xa5count\x02", "msgpack_syntax"),
        (b"\x82\xd9\x05count\x01\xa5count\x02", "msgpack_syntax"),
        (b"\x81\x01\x02", "msgpack_syntax"),
        (b"\x81\xc4\x01a\x02", "msgpack_syntax"),
        (b"\x81\xc0\x02", "msgpack_syntax"),
        (b"\x81\x90\x02", "msgpack_syntax"),
        (packed(at=datetime(2026, 1, 1, tzinfo=UTC)), "msgpack_syntax"),  # the extension type of a time
        (packed(at=msgspec.msgpack.Ext(5, b"1")), "msgpack_syntax"),
        (pack({"at": msgspec.Raw(b"\xd6\xff\x00\x00\x00\x00")}), "msgpack_syntax"),
        (packed(ratio=float("nan")), "msgpack_syntax"),
        (packed(ratio=float("inf")), "msgpack_syntax"),
        (b"\x91" * 40_000 + b"\xc0", "msgpack_syntax"),
        (b"\xdd\x00\x02\x00\x00" + b"\x90" * (1 << 17), "msgpack_syntax"),
        (b"\xdd\x00\x02\x00\x00" + b"\xd0\x01" * (1 << 17), "msgpack_syntax"),
        (b"\x81\xa4more" + b"\x91" * 70 + b"\xc0", "msgpack_syntax"),
        (b"\x81\xa1\xff\x01", "msgpack_syntax"),
        (packed(count=2**63), "invalid"),
        (packed(count=1.5), "invalid"),
        (packed(count="1"), "invalid"),
        (pack([]), "invalid"),
        (pack({"more": {"\x00": 1}}), "invalid"),
    ],
)
async def test_what_is_not_taken(client: Client, body: bytes, code: str) -> None:
    answer = await client.post("/echo", body=body, headers=PACKED)
    assert (answer.status, answer.code) == (422 if code == "invalid" else 400, code)


async def test_other_than_the_shortest_forms_are_read(client: Client) -> None:
    long = b"\x81\xd9\x04more\xde\x00\x02\xda\x00\x01a\xca\x3f\x00\x00\x00\xd9\x01b\xd2\x00\x00\x00\x01"
    answer = await client.post("/echo", body=long, headers=PACKED)
    assert {fault["pointer"] for fault in answer.json["faults"]} == {"/count", "/price", "/at", "/who"}


async def test_a_patch_and_its_validator(client: Client) -> None:
    made = await client.post("/things", body=pack({"name": "a", "note": "b"}), headers=PACKED)
    path = made.headers["location"]
    plain = await client.get(path)
    packed_ = await client.get(path, headers={"accept": "application/msgpack"})
    assert plain.headers["etag"] != packed_.headers["etag"]
    known = {"accept": "application/msgpack", "if-none-match": packed_.headers["etag"]}
    assert (await client.get(path, headers=known)).status == 304
    assert (await client.get(path, headers={"if-none-match": packed_.headers["etag"]})).status == 200
    headers = {**PACKED, "if-match": packed_.headers["etag"]}
    changed = await client.patch(path, body=pack({"note": None}), headers=headers)
    assert (changed.status, changed.json["note"], changed.json["name"]) == (200, None, "a")
    assert (await client.patch(path, body=pack({"note": "c"}), headers=headers)).status == 412


async def test_a_retry_may_come_in_the_other(client: Client) -> None:
    first = await client.post("/things", json={"name": "a"}, key="k")
    again = await client.post(
        "/things", body=pack({"name": "a"}), key="k", headers={**PACKED, "accept": "application/msgpack"}
    )
    assert (again.status, again.headers["idempotency-replayed"]) == (201, "true")
    assert unpack(again.body) == first.json
    assert (await client.post("/things", body=pack({"name": "b"}), key="k", headers=PACKED)).status == 422


async def test_an_empty_body_is_missing(client: Client) -> None:
    assert (await client.post("/echo", body=b"", headers=PACKED)).code == "body_missing"


async def test_the_contract_lists_both(client: Client) -> None:
    contract = (await client.get("/openapi.json")).json
    echo = contract["paths"]["/echo"]["post"]
    both = {"application/json", "application/vnd.msgpack"}
    assert set(echo["responses"]["200"]["content"]) == both
    assert set(echo["requestBody"]["content"]) == {"application/json"}
    assert "application/vnd.msgpack" in echo["requestBody"]["description"]
    assert set(echo["responses"]["422"]["content"]) == {"application/problem+json"}
    assert "msgpack_syntax" in str(echo["responses"]["400"])
    assert set(contract["paths"]["/stream"]["get"]["responses"]["200"]["content"]).isdisjoint(both)
