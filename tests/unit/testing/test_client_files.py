"""The test client sends forms."""

from __future__ import annotations

from mainstay import Dto, Module, Service, Upload, anyone
from mainstay.testing import Client


class Told(Dto):
    title: str
    names: list[str | None]
    types: list[str]
    sizes: list[int]


async def test_files_and_fields_are_sent_as_a_form() -> None:
    files = Module("files")

    @files.command("POST /files", allow=anyone)
    async def put(pictures: list[Upload], title: str) -> Told:
        sizes = [len(await one.read()) for one in pictures]
        names, types = [one.filename for one in pictures], [one.media_type for one in pictures]
        return Told(title=title, names=names, types=types, sizes=sizes)

    async with Client(Service("files", modules=[files])) as client:
        parts = [("pictures", ("a.png", b"one", "image/png")), ("pictures", ("b.bin", b"three"))]
        answer = await client.post("/files", files=parts, fields={"title": "two"})
        assert answer.status == 200, answer
        assert answer.json == {
            "title": "two",
            "names": ["a.png", "b.bin"],
            "types": ["image/png", "application/octet-stream"],
            "sizes": [3, 5],
        }
