"""A service that puts what a caller says into every place that it could do harm in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from mainstay import Blobs, Dto, Entity, File, Find, Log, Module, Page, Repository, anyone, field, header

module = Module("reflecting")


class Note(Entity):
    """A text that is kept, and may be searched."""

    text: str = field(max_length=10_000, searchable=True)
    number: int = 0
    data: Any = None


class Said(Dto):
    """A text."""

    text: str


module.resource(Note, path="/notes", read=anyone, create=anyone, update=anyone, delete=anyone)


@module.query("GET /search", allow=anyone)
async def search(find: Find[Note], notes: Repository[Note]) -> Page[Note]:
    """Search notes."""
    return await notes.page(find)


@module.query("GET /files", allow=anyone)
async def file(name: str) -> File:
    """Give a file of that name."""
    return File(content=b"content", media_type="text/plain", filename=name)


@module.query("GET /objects", allow=anyone)
async def stored(key: str, blobs: Blobs) -> File:
    """Give an object."""
    return File(content=await blobs.get(key), media_type="text/plain")


@module.query("GET /objects/{key}", allow=anyone)
async def stored_below(key: str, blobs: Blobs) -> File:
    """Give an object whose key is a segment of the path."""
    return File(content=await blobs.get(key), media_type="text/plain")


@module.command("POST /say", allow=anyone)
async def say(said: Said, log: Log, told: Annotated[str, header("X-Told")] = "") -> Said:
    """Write into the log, and say it again."""
    log.info("said", said.text, told=told, again=[said.text])  # noqa: PLE1205 - not the logging module's
    return said


SECRET = "the content of a file that nobody was given"


def hidden_file(folder: Path) -> Path:
    """Write a file beside the folder of the objects."""
    path = folder / "hidden.txt"
    path.write_text(SECRET)
    return path
