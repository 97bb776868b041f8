"""A store of objects: whole or not at all, by parts, in order, and never beyond its own keys."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import pytest_asyncio

from mainstay.model.inputs import Upload
from mainstay.ports.blobs import MAX_KEY, Blob, BlobChanged, BlobExists, BlobKeyInvalid, BlobMissing, Blobs

BAD_KEYS = (
    *("", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a/..", "./a", "~", "a~", "~tmp/a", "a~/b"),
    *("a\\b", "a b", "a\nb", "a\0b", "ä", "a%2e%2e", "a:b", "C:/a", "a*", "a?", "a#b", "a" * (MAX_KEY + 1), "a" * 201),
)


class BlobsConformance:
    """Every adapter of the port."""

    pytestmark: ClassVar[Any] = pytest.mark.asyncio

    def make_blobs(self, folder: Path) -> Blobs:
        """Return an empty store; ``folder`` is one of its own, if it needs any: a subclass says how."""
        raise TypeError(f"{type(self).__name__} does not say how a store is made (in {folder}): give it make_blobs")

    @pytest_asyncio.fixture
    async def blobs(self, tmp_path: Path) -> Blobs:
        """An empty store."""
        return self.make_blobs(tmp_path)

    async def test_what_was_put_is_got(self, blobs: Blobs) -> None:
        for key, content in (("a", b""), ("b/c.png", b"x"), ("b/d", bytes(range(256)) * 5000)):
            put = await blobs.put(key, content)
            got = await blobs.get(key)
            assert await _all(got) == content
            assert (put.key, put.size, put.etag) == (key, len(content), got.etag)
            assert got.modified is not None
            assert await blobs.exists(key)

    async def test_content_is_taken_as_it_comes(self, blobs: Blobs) -> None:
        async def parts() -> AsyncIterator[bytes]:
            for number in range(100):
                await asyncio.sleep(0)
                yield b"%d," % number

        await blobs.put("parts", parts())
        assert await _all(await blobs.get("parts")) == b"".join(b"%d," % n for n in range(100))
        await blobs.put("upload", Upload(b"x" * 100_000))
        assert (await blobs.get("upload")).size == 100_000

    async def test_content_that_breaks_is_not_stored(self, blobs: Blobs) -> None:
        async def parts() -> AsyncIterator[bytes]:
            yield b"x" * 1000
            raise ConnectionResetError

        await blobs.put("kept", b"before")
        for key in ("new", "kept"):
            with pytest.raises(ConnectionResetError):
                await blobs.put(key, parts())
        assert not await blobs.exists("new")
        assert await _all(await blobs.get("kept")) == b"before"
        assert [blob.key async for blob in blobs.list()] == ["kept"]

    async def test_a_range_is_a_part(self, blobs: Blobs) -> None:
        content = random.Random(1).randbytes(700_000)  # noqa: S311 - the same bytes each time
        blob = await blobs.put("a", content)
        for start, stop in ((0, None), (0, 1), (5, 5), (1, 300_000), (262_143, 262_145), (699_999, None), (0, 700_000)):
            assert b"".join([part async for part in blob.read(start, stop)]) == content[start:stop]
        assert all([part async for part in blob.read()]), "no part is empty"

    async def test_what_is_not_there(self, blobs: Blobs) -> None:
        await blobs.put("a/b", b"x")
        for key in ("b", "a", "a/c", "a/b/c"):
            with pytest.raises(BlobMissing):
                await blobs.get(key)
            assert not await blobs.exists(key)
            await blobs.delete(key)
        assert await blobs.exists("a/b")

    async def test_a_key_may_be_the_beginning_of_others(self, blobs: Blobs) -> None:
        for key in ("a", "a/b", "a/b/c"):
            await blobs.put(key, key.encode())
        for key in ("a", "a/b", "a/b/c"):
            assert await _all(await blobs.get(key)) == key.encode()

    async def test_a_deleted_object_is_gone(self, blobs: Blobs) -> None:
        await blobs.put("a/b", b"x")
        await blobs.delete("a/b")
        await blobs.delete("a/b")
        assert not await blobs.exists("a/b")
        with pytest.raises(BlobMissing):
            await blobs.get("a/b")

    async def test_an_object_is_replaced_whole_unless_it_must_not_be(self, blobs: Blobs) -> None:
        first = await blobs.put("a", b"1" * 600_000)
        with pytest.raises(BlobExists):
            await blobs.put("a", b"2", replace=False)
        reading = first.read()
        begun = await anext(reading)
        second = await blobs.put("a", b"2" * 600_000)
        assert second.etag != first.etag
        rest = b"".join([part async for part in reading])
        assert begun + rest == b"1" * 600_000, "who has begun to read goes on"
        with pytest.raises(BlobChanged):
            await _all(first)
        assert await _all(second) == b"2" * 600_000

    async def test_one_of_several_that_must_not_replace_wins(self, blobs: Blobs) -> None:
        async def put(number: int) -> bool:
            try:
                await blobs.put("a", b"%d" % number, replace=False)
            except BlobExists:
                return False
            return True

        assert sum(await asyncio.gather(*(put(number) for number in range(8)))) == 1

    async def test_a_list_is_in_order_and_of_its_prefix(self, blobs: Blobs) -> None:
        keys = sorted(["a", "a!", "a/b", "a/c/d", "a0", "b/1", "b/10", "b/2", "b.c/x", "c"])
        for key in random.Random(2).sample(keys, len(keys)):  # noqa: S311 - the same order each time
            await blobs.put(key, b"x")
        for prefix in ("", "a", "a/", "b", "b/1", "b.", "a/c/d", "x", "a/c/d/e"):
            expected = [key for key in keys if key.startswith(prefix)]
            assert [blob.key async for blob in blobs.list(prefix)] == expected
            for after in keys:
                told = [blob.key async for blob in blobs.list(prefix, after=after)]
                assert told == [key for key in expected if key > after]

    @pytest.mark.parametrize("key", BAD_KEYS)
    async def test_a_key_that_is_none_leads_nowhere(self, blobs: Blobs, key: str) -> None:
        for work in (blobs.put(key, b"x"), blobs.get(key), blobs.exists(key), blobs.delete(key)):
            with pytest.raises(BlobKeyInvalid):
                await work
        assert [blob.key async for blob in blobs.list()] == []


async def _all(blob: Blob) -> bytes:
    return b"".join([part async for part in blob.read()])
