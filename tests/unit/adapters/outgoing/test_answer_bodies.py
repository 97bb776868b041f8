"""Bodies of answers, unpacked within their bound."""

from __future__ import annotations

import gzip
import os
import tracemalloc
import zlib
from collections.abc import AsyncIterator

import pytest

from mainstay.adapters.outgoing.bodies import read_body
from mainstay.ports.http import HttpFailed


async def parts(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def read(data: bytes, coding: str = "", bound: int = 1000, size: int = 7) -> bytes:
    return await read_body(parts(data, size), coding, bound)


@pytest.mark.parametrize("body", [b"", b"x", b"abc" * 333, os.urandom(1000)])
async def test_a_body_comes_whole(body: bytes) -> None:
    assert await read(body) == body
    assert await read(body, "identity") == body
    for size in (1, 7, 10_000):
        assert await read(gzip.compress(body), "gzip", size=size) == body
        assert await read(gzip.compress(body), " X-GZIP ", size=size) == body
        assert await read(zlib.compress(body), "deflate", size=size) == body
    assert await read(gzip.compress(body[:10]) + gzip.compress(body[10:]), "gzip") == body


async def test_one_byte_more_is_too_long() -> None:
    body = b"x" * 1001
    for data, coding in ((body, ""), (gzip.compress(body), "gzip"), (zlib.compress(body), "deflate")):
        with pytest.raises(HttpFailed, match="more than 1000 bytes"):
            await read(data, coding)


async def test_a_bomb_is_never_unpacked() -> None:
    bomb = gzip.compress(bytes(8 * 1024 * 1024))
    assert len(bomb) < 10_000  # as it comes it is within the bound
    tracemalloc.start()
    try:
        with pytest.raises(HttpFailed, match="more than"):
            await read(bomb, "gzip", bound=10_000, size=len(bomb))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


async def test_what_unpacks_to_nothing_is_bounded_as_it_came() -> None:
    with pytest.raises(HttpFailed, match="more than 1000 bytes"):
        await read(gzip.compress(b"") * 200, "gzip")


@pytest.mark.parametrize(
    ("data", "coding"),
    [
        (b"no gzip", "gzip"),
        (gzip.compress(b"abc", mtime=0)[:-1], "gzip"),
        (gzip.compress(b"abc", mtime=0) + b"rest", "gzip"),
        (zlib.compress(b"abc"), "gzip"),
        (gzip.compress(b"abc", mtime=0), "deflate"),
        (b"abc", "br"),
        (b"abc", "gzip, gzip"),
        (b"abc", "zstd"),
    ],
)
async def test_a_body_that_cannot_be_unpacked_is_no_answer(data: bytes, coding: str) -> None:
    with pytest.raises(HttpFailed):
        await read(data, coding)
