"""A service of files: it takes them, keeps them, and gives them back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from mainstay import Blobs, Dto, File, Module, Service, Upload, anyone

HERE = Path(__file__).parent
goods = Module("goods")


class Kept(Dto):
    name: str
    size: int


class Line(Dto):
    number: int
    text: str


@goods.command("POST /objects/{name}", allow=anyone, external=True, deadline=3600)
async def put_object(name: str, file: Upload, blobs: Blobs) -> Kept:
    blob = await blobs.put(name, file)
    return Kept(name=blob.key, size=blob.size)


@goods.query("GET /objects/{name}", allow=anyone)
async def get_object(name: str, blobs: Blobs) -> File:
    return File(content=await blobs.get(name))


@goods.command("POST /files/{name}", allow=anyone, external=True, deadline=3600)
async def put_file(name: str, file: Upload) -> Kept:
    await file.save(HERE / f"kept-{name}")
    return Kept(name=name, size=file.size)


@goods.query("GET /files/{name}", allow=anyone)
async def get_file(name: str) -> File:
    return File(content=HERE / f"kept-{name}")


@goods.query("GET /lines", allow=anyone)
async def get_lines(count: int) -> AsyncIterator[Line]:
    text = "x" * 1000
    for number in range(count):
        yield Line(number=number, text=text)


@goods.command("POST /prepare", allow=anyone)
async def prepare() -> Kept:
    return Kept(name="", size=0)


service = Service("warehouse", modules=[goods])
