"""Packing an answer in parts: off the loop where it is big, readable item by item where it is a stream."""

from __future__ import annotations

import gzip
import random
import threading
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import brotli  # type: ignore[import-untyped]
import pytest
from backports import zstd

from mainstay.inbound.http import codings as codings_module
from mainstay.inbound.http.codings import PREFERRED, Choice, CodingMissing, codings
from mainstay.inbound.http.compress import PackedBody, PackedStream, compressible
from mainstay.inbound.http.options import HttpOptions
from mainstay.inbound.http.targets import Document

UNPACKERS: dict[str, Callable[[], Callable[[bytes], bytes]]] = {
    "gzip": lambda: zlib.decompressobj(31).decompress,
    "br": lambda: brotli.Decompressor().process,
    "zstd": lambda: zstd.ZstdDecompressor().decompress,
}


class Threads:
    """A compressor that keeps where it was called."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def part(self, data: bytes) -> bytes:
        self.seen.add(threading.get_ident())
        return data

    def end(self) -> bytes:
        return b"|"


async def test_a_big_body_is_packed_away_from_the_loop() -> None:
    compressor = Threads()
    body = bytes(300_000)
    parts = [part async for part in PackedBody(body, compressor)]
    assert len(parts) > 3
    assert b"".join(parts) == body + b"|"
    assert threading.get_ident() not in compressor.seen


@pytest.mark.parametrize("coding", codings(), ids=lambda one: one.name)
async def test_each_item_can_be_read_when_it_has_come(coding: Any) -> None:
    closed = []

    async def items() -> AsyncIterator[bytes]:
        try:
            for number in range(20):
                yield b'{"n":%d}\n' % number
        finally:
            closed.append(True)

    unpack = UNPACKERS[coding.name]()
    stream = PackedStream(items(), coding.begin())
    for number in range(20):
        assert unpack(await anext(stream)) == b'{"n":%d}\n' % number
    unpack(await anext(stream))
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    assert closed == [True]


async def test_a_stream_that_is_left_is_closed() -> None:
    closed = []

    async def items() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            closed.append(True)

    stream = PackedStream(items(), codings()[0].begin())
    await anext(stream)
    await stream.aclose()
    assert closed == [True]
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


@pytest.mark.parametrize("coding", codings(), ids=lambda one: one.name)
def test_what_is_packed_well_is_smaller(coding: Any) -> None:
    data = " ".join(random.Random(3).choices(["alpha", "beta", "gamma", "delta"], k=20_000)).encode()
    usual, well = coding.pack(data), coding.pack_well(data)
    assert len(well) < len(usual) < len(data)
    assert UNPACKERS[coding.name]()(well) == data


def test_only_what_is_installed_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codings_module, "is_installed", lambda name: name == "gzip")
    assert [one.name for one in codings()] == ["gzip"]
    with pytest.raises(CodingMissing, match=r"pip install 'mainstay\[compress\]'"):
        codings(["zstd"])
    with pytest.raises(CodingMissing, match="known are zstd, br, gzip"):
        codings(["lzma"])


def test_what_a_client_may_make_the_door_remember_is_bounded() -> None:
    choice = Choice(codings())
    for number in range(2000):
        assert choice.of(b"gzip;q=0.%d, x%d" % (number % 10, number)) is not None
    assert len(choice._known) <= 512
    assert choice.of(b"gzip" + b" " * 10_000).codings


@pytest.mark.parametrize(
    ("media", "yes"),
    [
        ("application/json", True),
        ("application/problem+json; charset=utf-8", True),
        ("image/svg+xml", True),
        ("Text/CSV", True),
        ("image/png", False),
        ("application/zip", False),
        ("application/octet-stream", False),
        ("text/event-stream", False),
        ("video/mp4", False),
    ],
)
def test_which_types_become_smaller(media: str, yes: bool) -> None:
    assert compressible(media) is yes
    assert compressible(media, ["*/*"])


def test_a_document_that_comes_packed_is_unpacked_for_who_takes_no_gzip() -> None:
    from mainstay.inbound.http.compress import Packing
    from mainstay.inbound.http.documents import Forms

    text = b"var a = 1;" * 500
    headers = (("content-encoding", "gzip"), ("vary", "accept-encoding"), ("x-own", "1"))
    document = Document(body=gzip.compress(text), media_type="text/javascript", etag='"a"', headers=headers)
    forms = Forms(document, Packing(HttpOptions()))
    assert forms.headers == (("x-own", "1"),)
    assert forms.of({}).body == forms.of({b"accept-encoding": b"gzip, br"}).body == document.body
    plain = forms.of({b"accept-encoding": b"gzip;q=0"})
    assert (plain.body, plain.tag, plain.line) == (text, '"a"', b"")
    assert forms.of({b"accept-encoding": b"br"}) is plain
    assert PREFERRED == ("zstd", "br", "gzip")
