"""Files that come in: as they are and in forms, small and large, whole and broken off."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mainstay import Dto, Module, Service, Upload, anyone, field
from mainstay.inbound.http import spool

MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}


class Told(Dto):
    names: list[str | None]
    sizes: list[int]
    digests: list[str]
    title: str = ""
    rank: int = 0
    tags: list[str] = []
    public: bool = False


class Caption(Dto):
    title: str = field(max_length=20)
    rank: int = field(ge=0, default=0)
    public: bool = False
    weight: float | None = None


async def told(*files: Upload, **more: Any) -> Told:
    digests = []
    for file in files:
        digest = hashlib.sha256()
        async for part in file:
            digest.update(part)
        digests.append(digest.hexdigest())
    return Told(names=[f.filename for f in files], sizes=[f.size for f in files], digests=digests, **more)


def declare(kept: list[Any]) -> Service:
    files = Module("files")

    @files.command("POST /one", allow=anyone)
    async def put_one(file: Upload) -> Told:
        kept.append(file)
        return await told(file)

    @files.command("POST /described", allow=anyone)
    async def put_described(file: Upload, title: str, rank: int = 1, tags: list[str] | None = None) -> Told:
        return await told(file, title=title, rank=rank, tags=tags or [])

    @files.command("POST /captioned", allow=anyone)
    async def put_captioned(files: list[Upload], caption: Caption) -> Told:
        return await told(*files, title=caption.title, rank=caption.rank, public=caption.public)

    @files.command("POST /pair", allow=anyone)
    async def put_pair(front: Upload, back: Upload | None = None) -> Told:
        return await told(front, *([back] if back is not None else []))

    @files.command("POST /saved", allow=anyone)
    async def put_saved(file: Upload, folder: str) -> Told:
        await file.save(Path(folder) / "saved.bin")
        return await told(file)

    @files.command("POST /read", allow=anyone)
    async def put_read(file: Upload) -> int:
        return len(await file.read(1000))

    @files.command("POST /keyed", allow=anyone, idempotency="optional")
    async def put_keyed(file: Upload) -> Told:
        return await told(file)

    return Service("files", modules=[files])


@pytest.fixture
def kept() -> list[Any]:
    return []


@pytest.fixture
def service(kept: list[Any]) -> Service:
    return declare(kept)


def form(*parts: bytes, end: bytes = b"--b--\r\n") -> bytes:
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + end


def file_part(name: str, content: bytes, filename: str = "a.bin") -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"\r\nContent-Type: image/png\r\n\r\n'
    return head.encode() + content


def field_part(name: str, text: str) -> bytes:
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n{text}'.encode()


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


LARGE = bytes(range(256)) * 4096  # 1 MiB: on disk, where 256 KiB are in memory
TRICKY = b"\r\n--b" * 60_000  # what looks like a boundary all the time


@pytest.mark.parametrize("content", [b"", b"x", LARGE, TRICKY], ids=["empty", "small", "large", "tricky"])
def test_a_file_arrives_as_it_was_sent(serve: Any, service: Service, content: bytes) -> None:
    door = serve(service)
    assert door.ask("POST", "/one", {"Content-Type": "image/png"}, content).json["digests"] == [sha(content)]
    if content is not TRICKY:  # in a form a boundary is one
        got = door.ask("POST", "/one", MULTIPART, form(file_part("file", content)))
        assert got.json["digests"] == [sha(content)]


def test_fields_of_a_form_are_members_beside_the_file(serve: Any, service: Service) -> None:
    door = serve(service)
    parts = (file_part("file", LARGE, "cat.png"), field_part("title", "żółw"), field_part("rank", "7"))
    got = door.ask("POST", "/described", MULTIPART, form(*parts, field_part("tags", "a"), field_part("tags", "b")))
    assert got.json["title"] == "żółw"
    assert got.json["rank"] == 7
    assert got.json["tags"] == ["a", "b"]
    assert got.json["names"] == ["cat.png"]
    got = door.ask("POST", "/described", MULTIPART, form(file_part("file", b"x"), field_part("rank", "seven")))
    assert got.status == 422
    assert {fault["pointer"] for fault in got.json["faults"]} == {"/title", "/rank"}


def test_several_files_and_a_dto_beside_them(serve: Any, service: Service) -> None:
    door = serve(service)
    files = [file_part("files", content, f"{n}.png") for n, content in enumerate((b"one", LARGE, b"three"))]
    caption = [field_part("title", "three of them"), field_part("public", "on"), field_part("weight", "")]
    got = door.ask("POST", "/captioned", MULTIPART, form(*caption, *files))
    assert got.json["names"] == ["0.png", "1.png", "2.png"]
    assert got.json["digests"] == [sha(b"one"), sha(LARGE), sha(b"three")]
    assert (got.json["title"], got.json["public"]) == ("three of them", True)
    wrong = [field_part("title", "x" * 30), field_part("rank", "-1"), field_part("colour", "red")]
    got = door.ask("POST", "/captioned", MULTIPART, form(*wrong, *files))
    assert got.status == 422
    assert {fault["pointer"] for fault in got.json["faults"]} == {"/title", "/rank", "/colour"}


def test_files_go_by_their_names_where_there_are_several(serve: Any, service: Service) -> None:
    door = serve(service)
    got = door.ask("POST", "/pair", MULTIPART, form(file_part("back", b"b"), file_part("front", b"f")))
    assert got.json["digests"] == [sha(b"f"), sha(b"b")]
    got = door.ask("POST", "/pair", MULTIPART, form(file_part("front", b"f")))
    assert got.json["digests"] == [sha(b"f")]
    got = door.ask("POST", "/pair", MULTIPART, form(file_part("back", b"b")))
    assert (got.status, got.json["code"], got.json["parts"]) == (400, "part_missing", ["front"])


def test_what_can_only_be_a_form_is_taken_as_nothing_else(serve: Any, service: Service) -> None:
    got = serve(service).ask("POST", "/pair", {"Content-Type": "image/png"}, b"x")
    assert got.status == 415


def test_a_file_is_saved_and_gone_when_its_call_has_ended(
    serve: Any, service: Service, kept: list[Any], tmp_path: Path
) -> None:
    door = serve(service)
    got = door.ask("POST", "/saved", MULTIPART, form(file_part("file", LARGE), field_part("folder", str(tmp_path))))
    assert got.status == 200
    assert (tmp_path / "saved.bin").read_bytes() == LARGE
    assert list(tmp_path.iterdir()) == [tmp_path / "saved.bin"], "nothing is left beside it"
    assert door.ask("POST", "/one", body=LARGE).status == 200
    deadline = time.monotonic() + 5
    while not kept[0]._kept.closed and time.monotonic() < deadline:
        time.sleep(0.005)

    async def use() -> None:
        await kept[0].read()

    with pytest.raises(RuntimeError, match="gone when its call has ended"):
        asyncio.run(use())


def test_reading_at_once_is_bounded(serve: Any, service: Service) -> None:
    door = serve(service)
    assert door.ask("POST", "/read", body=b"x" * 1000).json == 1000
    assert door.ask("POST", "/read", body=b"x" * 1001).status == 413


@pytest.mark.parametrize("framing", ["form", "raw"])
def test_one_over_the_bound_is_refused_wherever_that_shows(serve: Any, service: Service, framing: str) -> None:
    door = serve(service, max_upload_bytes=300_000)
    body = form(file_part("file", LARGE)) if framing == "form" else LARGE
    got = door.ask("POST", "/one", MULTIPART if framing == "form" else {}, body)
    assert (got.status, got.json["code"]) == (413, "too_large")


def test_a_key_is_for_one_file_whatever_the_boundary(serve: Any, service: Service) -> None:
    door = serve(service)
    keyed = {**MULTIPART, "Idempotency-Key": "k1"}
    assert door.ask("POST", "/keyed", keyed, form(file_part("file", LARGE))).status == 200
    other = {"Content-Type": "multipart/form-data; boundary=c", "Idempotency-Key": "k1"}
    again = form(file_part("file", LARGE)).replace(b"--b", b"--c")
    assert door.ask("POST", "/keyed", other, again)["Idempotency-Replayed"] == "true"
    got = door.ask("POST", "/keyed", keyed, form(file_part("file", LARGE[:-1] + b"!")))
    assert (got.status, got.json["code"]) == (422, "idempotency_key_reused")


def test_what_does_not_fit_into_memory_is_on_disk(
    serve: Any, service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[str | None] = []
    unnamed = spool._unnamed

    def noted(folder: str | None) -> Any:
        made.append(folder)
        return unnamed(folder)

    monkeypatch.setattr(spool, "_unnamed", noted)
    door = serve(service, spool_folder=str(tmp_path))
    door.ask("POST", "/one", body=b"x" * spool.IN_MEMORY)
    assert made == []
    door.ask("POST", "/one", body=b"x" * (spool.IN_MEMORY + 1))
    assert made == [str(tmp_path)]
    assert list(tmp_path.iterdir()) == [], "it has no name"


def test_a_full_disk_is_told_as_such(serve: Any, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_file: int, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool, "_write_all", full)
    got = serve(service).ask("POST", "/one", body=LARGE)
    assert (got.status, got.json["code"]) == (503, "no_room")


def pieces(body: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def test_a_form_may_come_in_pieces_of_any_size(listen: Any, service: Service) -> None:
    body = form(field_part("note", "n"), file_part("file", b"ab\r\n--c\r\n--" + LARGE[:3000]))
    wire = listen(service).wire()
    for size in (1, 7, 1000):
        wire.say(f"POST /one HTTP/1.1\r\nHost: t\r\n{'Content-Type: ' + MULTIPART['Content-Type']}\r\n".encode())
        wire.say(b"Transfer-Encoding: chunked\r\n\r\n")
        wire.say(b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces(body, size)) + b"0\r\n\r\n")
        assert wire.hear().json["digests"] == [sha(b"ab\r\n--c\r\n--" + LARGE[:3000])]


def test_the_socket_is_not_read_while_the_file_is_not_taken(listen: Any) -> None:
    slow = Module("slow")
    started: list[float] = []

    @slow.command("POST /one", allow=anyone, limits=[])
    async def put(file: Upload) -> int:
        return file.size

    door = listen(Service("slow", modules=[slow]), max_held_bytes=64 << 10, max_upload_bytes=64 << 20)
    held: list[int] = []
    add = spool.Spool.add

    async def slowly(self: spool.Spool, data: bytes) -> None:
        held.append(len(data))
        started.append(time.monotonic())
        if len(held) < 4:
            await asyncio.sleep(0.1)
        await add(self, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool.Spool, "add", slowly)
        wire = door.wire()
        wire.say(b"POST /one HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % (8 << 20))
        for piece in pieces(b"x" * (8 << 20), 1 << 20):
            wire.say(piece)
        assert wire.hear().json == 8 << 20
    assert max(held) <= (64 << 10) + (64 << 10), "a window, and the slice that filled it"


def test_a_client_that_leaves_in_the_midst_leaves_nothing_behind(listen: Any, service: Service) -> None:
    door = listen(service)
    made: list[spool.Spool] = []
    begin = spool.Spool.__init__

    def noted(self: spool.Spool, folder: str | None = None) -> None:
        begin(self, folder)
        made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool.Spool, "__init__", noted)
        wire = door.wire()
        wire.say(b"POST /one HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % (8 << 20))
        wire.say(LARGE)
        deadline = time.monotonic() + 5
        while not made and time.monotonic() < deadline:
            time.sleep(0.005)
        wire.close()
        while not (made and made[0].closed) and time.monotonic() < deadline:
            time.sleep(0.005)
    assert made[0].closed
    assert door.ask("POST", "/one", body=b"x").status == 200
