"""Unpacking a body step by step: what is held is bounded, whatever is sent."""

from __future__ import annotations

import zlib

import pytest

from mainstay.inbound.http.decompress import STEP, CodingMalformed, UnpackedInflow, unpacker_of
from mainstay.model.problem import TooLarge

BOMB = zlib.compress(bytes(256 << 20), 9, 31)
SLICE = 16 << 10


def inflow_of(coding: bytes, limit: int = 1 << 20, factor: int = 100_000) -> UnpackedInflow:
    found = unpacker_of(coding)
    assert found is not None
    return UnpackedInflow(limit, *found, factor=factor)


def test_no_more_is_unpacked_than_the_bound_and_a_step() -> None:
    found = unpacker_of(b"gzip")
    assert found is not None
    unpacked = []

    class Counting(UnpackedInflow):
        def _bound(self, more: int) -> None:
            unpacked.append(more)
            super()._bound(more)

    inflow = Counting(1 << 20, *found, factor=100_000)
    for at in range(0, len(BOMB), SLICE):
        inflow.feed(BOMB[at : at + SLICE])
    inflow.finish()
    assert inflow.over
    assert inflow.size == len(BOMB)
    assert sum(unpacked) <= inflow.limit + STEP
    with pytest.raises(TooLarge):
        inflow.take()


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
def test_every_cut_is_told(coding: bytes) -> None:
    packed = zlib.compress(b"some text that is packed, some text", 9, 31 if coding == b"gzip" else 15)
    for cut in range(1, len(packed)):
        inflow = inflow_of(coding)
        inflow.feed(packed[:cut])
        inflow.finish()
        with pytest.raises(CodingMalformed):
            inflow.take()


def test_any_split_gives_the_same() -> None:
    packed = zlib.compress(b"a" * 100_000, 9, 31)
    for size in (1, 2, 3, 7, 64):
        inflow = inflow_of(b"gzip")
        for at in range(0, len(packed), size):
            inflow.feed(packed[at : at + size])
        inflow.finish()
        assert inflow.take() == b"a" * 100_000


def test_what_is_dropped_is_not_unpacked() -> None:
    inflow = inflow_of(b"gzip")
    inflow.drop()
    inflow.feed(b"no gzip at all")
    inflow.finish()
    assert not inflow.over
    assert inflow.size == 14
