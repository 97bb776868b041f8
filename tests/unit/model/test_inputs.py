"""Uploads and files as a test makes them: of bytes, without a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

from mainstay import Upload
from mainstay.ports.blobs import Blob


async def test_an_upload_of_bytes_can_be_saved_and_read(tmp_path: Path) -> None:
    upload = Upload(b"abc", media_type="text/plain", filename="a.txt")
    await upload.save(tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == b"abc"
    assert await upload.read() == b"abc"
    assert [part async for part in upload] == [b"abc"]
    assert repr(upload) == "Upload(3 bytes, text/plain)"


async def test_a_blob_says_what_it_is() -> None:
    async def parts(start: int, stop: int | None) -> AsyncIterator[bytes]:
        yield b"abc"[start:stop]

    blob = Blob("a/b", size=3, etag="etag", modified=datetime(2026, 1, 1, tzinfo=UTC), read=parts)
    assert repr(blob) == "Blob('a/b', 3 bytes)"
    assert [part async for part in blob.read(1)] == [b"bc"]
