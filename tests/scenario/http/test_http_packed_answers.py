"""Answers in a content coding: which are packed, by what, and what is told of it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import brotli  # type: ignore[import-untyped]
from backports import zstd

UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": zstd.decompress,
}
ALL = {"Accept-Encoding": "gzip, deflate, br, zstd"}


def vary(answer: Any) -> set[str]:
    return {name.strip() for field in answer.all("Vary") for name in field.split(",")}


CASES: list[tuple[str, str | None]] = [
    ("gzip", "gzip"),
    ("x-gzip", "gzip"),
    ("GZIP", "gzip"),
    ("br", "br"),
    ("zstd", "zstd"),
    ("gzip, deflate, br, zstd", "zstd"),
    ("gzip, br", "br"),
    ("gzip;q=1.0, br;q=0.5, zstd;q=0.1", "gzip"),
    ("*", "zstd"),
    ("*;q=0.5, gzip", "gzip"),
    ("zstd;q=0, *", "br"),
    ("gzip;q=0.5, identity;q=0.4", "gzip"),
    ("gzip;q=0.5, identity", None),
    ("identity", None),
    ("", None),
    ("deflate", None),
    ("compress, snappy", None),
    ("gzip;q=0", None),
    ("*;q=0, identity", None),
    ("gzip;q=2", None),
    ("gzip;q=x", None),
    ("gzip;q=nan", None),
    (";;,,=;q", None),
]


def test_the_coding_that_is_wanted_most(ask: Any) -> None:
    plain = ask("GET", "/big?n=5000")
    assert "Accept-Encoding" in vary(plain)
    for field, coding in CASES:
        answer = ask("GET", "/big?n=5000", {"Accept-Encoding": field})
        assert (answer.status, answer.all("Content-Encoding")) == (200, [coding] if coding else []), field
        assert (UNPACK[coding](answer.body) if coding else answer.body) == plain.body
        assert "Accept-Encoding" in vary(answer)
        assert answer["Content-Length"] == str(len(answer.body))


def test_small_answers_are_left_alone(door: Any) -> None:
    client = door(compress_least=2000)
    for size, coded in ((1999, False), (2000, True)):
        answer = client.ask("GET", f"/big?n={size}", ALL)
        assert ("Content-Encoding" in answer, "Accept-Encoding" in vary(answer)) == (coded, coded)
        assert len(UNPACK["zstd"](answer.body) if coded else answer.body) == size


def test_it_may_be_turned_off_and_codings_be_chosen(door: Any) -> None:
    off = door(compress=False).ask("GET", "/big", ALL)
    assert "Content-Encoding" not in off
    assert "Accept-Encoding" not in vary(off)
    assert door(codings=("gzip", "br")).ask("GET", "/big", ALL)["Content-Encoding"] == "gzip"


def test_a_client_that_refuses_plain_bytes_gets_none(ask: Any, sample: Any) -> None:
    small = ask("GET", "/hello", {"Accept-Encoding": "gzip, identity;q=0"})
    assert (small["Content-Encoding"], UNPACK["gzip"](small.body)) == ("gzip", b'{"hello":"world"}')
    assert ask("GET", "/hello", {"Accept-Encoding": "br, *;q=0"})["Content-Encoding"] == "br"
    seen = len(sample.calls)
    for field in ("identity;q=0", "*;q=0", "deflate, identity;q=0", "identity;q=0.000"):
        refused = ask("GET", "/hello", {"Accept-Encoding": field})
        assert (refused.status, refused.json["code"]) == (406, "not_acceptable")
        assert ask("POST", "/slow", {"Accept-Encoding": field}).status == 406
    assert len(sample.calls) == seen


UNFIT = (
    "header=Cache-Control&value=no-transform",
    "header=Cache-Control&value=public,%20No-Transform",
    "header=Content-Encoding&value=br",
    "header=Set-Cookie&value=a=b",
    "secret=1",
)


def test_what_may_not_be_packed_is_not(ask: Any) -> None:
    plain = ask("GET", "/big").body
    for query in UNFIT:
        answer = ask("GET", f"/big?{query}", ALL)
        assert (answer.status, answer.body) == (200, plain), query
        assert "Accept-Encoding" not in vary(answer)


SITES = {"cross-site": False, "same-site": False, "": False, "same-origin": True, "none": True}


def test_what_a_browser_asks_for_with_cookies_from_elsewhere_keeps_its_length(ask: Any) -> None:
    for site, coded in SITES.items():
        fields = {**ALL, "Cookie": "session=1"} | ({"Sec-Fetch-Site": site} if site else {})
        answer = ask("GET", "/big", fields)
        assert ("Content-Encoding" in answer) is coded
        assert "Accept-Encoding" in vary(answer)


def test_what_becomes_no_smaller_is_sent_as_it_is(door: Any) -> None:
    client = door(compress_least=10)
    answer = client.ask("GET", "/big?n=12", {"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer
    assert "Accept-Encoding" in vary(answer)


def test_each_coding_has_a_validator_of_its_own(ask: Any) -> None:
    for coding in UNPACK:
        check_validators(ask, coding)


def check_validators(ask: Any, coding: str) -> None:
    plain = ask("GET", "/big?version=7")
    packed = ask("GET", "/big?version=7", {"Accept-Encoding": coding})
    assert packed["ETag"] == f'{plain["ETag"][:-1]}-{coding}"'
    known = {"Accept-Encoding": coding, "If-None-Match": packed["ETag"]}
    again = ask("GET", "/big?version=7", known)
    assert (again.status, again.body, again["ETag"]) == (304, b"", packed["ETag"])
    assert "Accept-Encoding" in vary(again)
    assert "Content-Encoding" not in again
    # the plain one that it has is right still, as it takes that too
    assert ask("GET", "/big?version=7", {**known, "If-None-Match": plain["ETag"]})["ETag"] == plain["ETag"]
    # one that it cannot read any more is not
    assert ask("GET", "/big?version=7", {"If-None-Match": packed["ETag"]}).status == 200
    assert ask("GET", "/big?version=8", known).status == 200
    # a version is a version in any coding
    assert ask("GET", "/big?version=7", {"If-Match": packed["ETag"]}).status == 200
    assert ask("GET", "/big?version=8", {"If-Match": packed["ETag"]}).status == 412
    change = {"Content-Type": "application/json", "If-Match": packed["ETag"]}
    assert ask("PATCH", "/items/1", change, b"{}").json["versions"] == [7]


def test_head_tells_what_get_does(ask: Any) -> None:
    for size in (5000, 300_000):
        check_head(ask, size)


def check_head(ask: Any, size: int) -> None:
    fields = {"Accept-Encoding": "gzip"}
    get, head = ask("GET", f"/big?n={size}&version=2", fields), ask("HEAD", f"/big?n={size}&version=2", fields)
    skip = {"x-request-id", "date", "transfer-encoding"}  # that of an answer without a body may be left out
    told = [[(k.lower(), v) for k, v in one.headers if k.lower() not in skip] for one in (get, head)]
    assert told[0] == told[1]
    assert head.body == b""
    assert head["Content-Encoding"] == "gzip"


def test_a_big_answer_is_packed_while_it_is_sent(ask: Any) -> None:
    for coding, unpack in UNPACK.items():
        answer = ask("GET", "/big?n=300000&version=3", {"Accept-Encoding": coding})
        assert "Content-Length" not in answer
        assert answer["ETag"].endswith(f'-{coding}"')
        assert len(unpack(answer.body)) == 300_000


def test_items_of_a_stream_can_be_read_as_they_come(ask: Any) -> None:
    answer = ask("GET", "/ticker?n=5", {"Accept-Encoding": "gzip"})
    assert answer["Content-Encoding"] == "gzip"
    assert [json.loads(line) for line in gzip.decompress(answer.body).splitlines()] == [{"n": n} for n in range(5)]
    plain = ask("GET", "/ticker?n=5")
    assert "Content-Encoding" not in plain
    assert "Accept-Encoding" in vary(plain)


def test_a_document_is_packed_once(door: Any) -> None:
    client = door(compress_least=1)
    first, second = (client.ask("GET", "/openapi.json", ALL) for _ in range(2))
    assert first["Content-Encoding"] == second["Content-Encoding"] == "zstd"
    assert first["ETag"] != client.ask("GET", "/openapi.json")["ETag"]
    known = {**ALL, "If-None-Match": first["ETag"]}
    assert (client.ask("GET", "/openapi.json", known).status, "Accept-Encoding" in vary(first)) == (304, True)
    assert client.ask("GET", "/openapi.json", {"Accept-Encoding": "*;q=0"}).status == 406
    (forms,) = client.door._shelf._forms.values()
    assert set(forms._made) == {"zstd"}


def test_pages_are_packed_where_they_are_large(door: Any) -> None:
    client = door(compress_least=10)
    page = client.ask("GET", "/health", {"Accept-Encoding": "gzip"})
    assert (page["Content-Encoding"], gzip.decompress(page.body)) == ("gzip", b'{"status":"up"}')
    assert "Accept-Encoding" in vary(page)
    assert "Content-Encoding" not in door().ask("GET", "/health", ALL)
