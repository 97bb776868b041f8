"""Request bodies in a content coding: unpacked within bounds, or refused by name."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import brotli  # type: ignore[import-untyped]
from backports import zstd
from http_sample import Sample

JSON = {"Content-Type": "application/json"}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}


CODINGS = ("gzip", "deflate", "br", "zstd")


@cache
def bomb(coding: str) -> bytes:
    """Return few bytes that stand for 32 MB."""
    return PACKERS[coding](b" " * (32 << 20))


def post(client: Any, coding: str, body: bytes, **fields: str) -> Any:
    return client("POST", "/items", {**JSON, "Content-Encoding": coding, **fields}, body)


def test_a_packed_body_is_read(ask: Any, sample: Sample) -> None:
    body = json.dumps({"name": "".join(random.Random(1).choices("abcdef", k=40_000))}).encode()
    for coding, pack in PACKERS.items():
        answer = post(ask, coding, pack(body))
        assert (answer.status, answer.json) == (201, json.loads(body))
        assert sample.calls[-1].body == body  # what the fingerprint of an idempotent retry is made of


def test_an_upload_may_be_packed(ask: Any) -> None:
    answer = ask(
        "POST", "/files", {"Content-Type": "text/csv", "Content-Encoding": "gzip"}, gzip.compress(b"a,b\n" * 9)
    )
    assert (answer.status, answer.json["size"]) == (200, 36)


def test_a_form_may_be_packed(ask: Any) -> None:
    form = b"--b\r\nContent-Disposition: form-data; name=file; filename=a.csv\r\n\r\n" + b"a,b\n" * 9 + b"\r\n--b--\r\n"
    fields = {"Content-Type": "multipart/form-data; boundary=b", "Content-Encoding": "br"}
    answer = ask("POST", "/files", fields, brotli.compress(form))
    assert (answer.status, answer.json["size"]) == (200, 36)
    fields["Content-Encoding"] = "gzip"
    assert ask("POST", "/files", fields, gzip.compress(form)[:-4]).status == 400


def test_plain_is_no_coding(ask: Any) -> None:
    body = b'{"name":"a"}'
    for coding in ("identity", "", "identity, gzip", " gzip ,"):
        assert post(ask, coding, gzip.compress(body) if "gzip" in coding else body).status == 201


def test_another_coding_is_refused_with_those_that_are_known(ask: Any, sample: Sample) -> None:
    for coding in ("compress", "gzip, gzip", "gzip, br", "snappy", "*", "gzip;q=1"):
        answer = post(ask, coding, gzip.compress(b'{"name":"a"}'))
        assert (answer.status, answer.json["code"]) == (415, "unsupported_media")
        assert answer["Accept-Encoding"] == "gzip, deflate, br, zstd"
    assert not sample.calls


def damaged(coding: str) -> dict[str, bytes]:
    body = b'{"name":"%s"}' % bytes(random.Random(2).choices(b"abcdef", k=5000))
    packed = PACKERS[coding](body)
    at = len(packed) // 2
    return {
        "cut": packed[:-3],
        "garbage": packed + b"garbage behind",
        "plain": body,
        "flipped": packed[:at] + bytes([packed[at] ^ 255]) + packed[at + 1 :],
    }


def test_a_damaged_body_is_malformed(ask: Any) -> None:
    for coding in CODINGS:
        for damage, broken in damaged(coding).items():
            answer = post(ask, coding, broken)
            # brotli and zstd keep no sum of what they hold: what was flipped may become other text
            if damage != "flipped" or coding not in ("br", "zstd"):
                assert (answer.status, answer.json["code"]) == (400, "coding_malformed"), (coding, damage)


def test_several_members_are_one_body(ask: Any) -> None:
    for coding in ("gzip", "zstd"):
        pack = PACKERS[coding]
        assert post(ask, coding, pack(b'{"name":') + pack(b"") + pack(b'"a"}')).status == 201


def test_a_bomb_is_refused(door: Any) -> None:
    client = door(max_body_bytes=1 << 20)
    for coding in CODINGS:
        answer = post(client.ask, coding, bomb(coding))
        assert (answer.status, answer.json["code"]) == (413, "too_large")


def test_what_grows_too_much_is_refused_below_the_bound_of_size_too(door: Any) -> None:
    client = door(max_body_bytes=8 << 20, max_inflation=20)
    body = b'{"name":"a"' + b" " * (1 << 20) + b"}"
    for coding in CODINGS:
        answer = post(client.ask, coding, PACKERS[coding](body))
        assert answer.status == 413
        assert "20 times" in answer.json["detail"]
        assert post(client.ask, coding, PACKERS[coding](b'{"name":"a"' + b" " * 60_000 + b"}")).status == 201


def test_the_bound_of_size_is_that_of_the_unpacked_body(door: Any) -> None:
    client = door(max_body_bytes=100)
    fits, over = (b'{"name":"%s"}' % (b"x" * size) for size in (89, 90))
    assert post(client.ask, "gzip", gzip.compress(fits)).status == 201
    assert post(client.ask, "gzip", gzip.compress(over)).status == 413


def test_an_empty_packed_body_is_an_empty_body(ask: Any) -> None:
    answer = post(ask, "gzip", b"")
    assert (answer.status, answer.json["detail"]) == (400, "the body is missing")


def test_a_packed_body_in_chunks_is_read(serve: Any) -> None:
    packed = gzip.compress(b'{"name":"chunked"}')
    wire = serve().wire()
    wire.say(b"POST /items HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n")
    wire.say(b"Transfer-Encoding: chunked\r\n\r\n")
    for byte in packed:
        wire.say(b"1\r\n%c\r\n" % byte)
    wire.say(b"0\r\n\r\n")
    assert wire.hear().json == {"name": "chunked"}
    wire.say(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
    assert wire.hear().status == 200


def test_a_bomb_in_chunks_ends_its_connection(serve: Any) -> None:
    packed = bomb("gzip")
    wire = serve(max_body_bytes=1 << 20).wire()
    head = b"POST /items HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
    wire.say(head + b"Content-Length: %d\r\n\r\n" % len(packed) + packed)
    assert wire.hear().status == 413
