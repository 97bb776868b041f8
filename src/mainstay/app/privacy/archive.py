"""What is exported of a person as a file: JSON, or a ZIP archive with the objects beside it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZipFile

import msgspec

from mainstay.app.privacy.exporting import ExportedPerson
from mainstay.app.refusal import Refusal
from mainstay.ports.blobs import BlobMissing, Blobs

DOCUMENT = "person.json"
FOLDER = "objects"


async def write_archive(found: ExportedPerson, path: Path, blobs: Blobs | None) -> None:
    """Write a new file that its owner alone may read: ``.zip`` holds the objects too, ``.json`` their keys.

    It appears whole or not at all. Raises ``Refusal`` where the file is there already, or its folder is not, or objects
    are named and ``blobs`` is None.
    """
    document = msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"
    with _appearing(path) as draft:
        if path.suffix == ".zip":
            await _pack(draft, document, found, blobs)
        else:
            draft.write(document)


@contextmanager
def _appearing(path: Path) -> Iterator[IO[bytes]]:
    """Give a file that gets its name when the block has ended, and is gone where it raises."""
    if not path.parent.is_dir():
        raise Refusal(f"{path.parent}: there is no such folder", f"mkdir -p {path.parent}")
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as draft:
        yield draft
        draft.flush()
        try:
            os.link(draft.name, path)
        except FileExistsError:
            raise Refusal(f"{path} is there already", "name another file, or remove it") from None


async def _pack(file: IO[bytes], document: bytes, found: ExportedPerson, blobs: Blobs | None) -> None:
    if found.objects and blobs is None:
        raise Refusal("rows name objects, and there is no store of them", "set blobs.url, or write a .json file")
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        archive.writestr(DOCUMENT, document)
        for number, key in enumerate(found.objects if blobs is not None else (), 1):
            await _add(archive, f"{FOLDER}/{number:04}", key, blobs)


async def _add(archive: ZipFile, place: str, key: str, blobs: Blobs | None) -> None:
    """Add an object under a number, for a key may be no name of a file; one that is gone has no bytes."""
    assert blobs is not None  # it was looked at
    try:
        blob = await blobs.get(key)
    except BlobMissing:
        return
    with archive.open(f"{place}{Path(key).suffix}", "w") as part:
        async for piece in blob.read():
            part.write(piece)
