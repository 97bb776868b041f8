"""Files that go out: whole and in parts, known and changed, from memory and from the disk."""

from __future__ import annotations

import itertools
import os
import threading
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from mainstay import File, Module, Service, anyone
from mainstay.inbound.http.ranges import MAX_RANGES, Span, spans_of

SIZE = 700_001
CONTENT = bytes(range(251)) * (SIZE // 251 + 1)
CONTENT = CONTENT[:SIZE]
SMALL = b"0123456789"
OLD = 1_600_000_000


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(CONTENT)
    os.utime(path, (OLD, OLD))
    return path


@pytest.fixture
def service(film: Path) -> Service:
    files = Module("files")

    @files.query("GET /film", allow=anyone)
    async def get_film() -> File:
        return File(content=film, media_type="video/mp4", inline=True)

    @files.query("GET /small", allow=anyone)
    async def get_small() -> File:
        return File(content=SMALL, media_type="text/plain", filename="digits.txt")

    @files.query("GET /large", allow=anyone)
    async def get_large() -> File:
        return File(content=CONTENT, media_type="video/mp4")

    @files.query("GET /gone", allow=anyone)
    async def get_gone() -> File:
        return File(content=film.parent / "none")

    @files.query("GET /folder", allow=anyone)
    async def get_folder() -> File:
        return File(content=film.parent)

    @files.command("POST /made", allow=anyone, status=201)
    async def make() -> File:
        return File(content=SMALL, media_type="text/plain")

    @files.query("GET /odd", allow=anyone)
    async def get_odd() -> File:
        return File(content=SMALL, media_type="text/plain\r\nX-A: b")

    return Service("files", modules=[files])


PATHS = ["/film", "/large"]


@pytest.mark.parametrize("path", PATHS)
def test_a_file_is_sent_whole_with_what_tells_it(serve: Any, service: Service, path: str) -> None:
    door = serve(service)
    got = door.ask("GET", path)
    assert (got.status, got.body) == (200, CONTENT)
    assert got["Accept-Ranges"] == "bytes"
    assert got["Content-Type"] == "video/mp4"
    assert got["Cache-Control"] == "no-cache"
    assert got["ETag"].startswith('"')
    head = door.ask("HEAD", path)
    assert (head.status, head.body, head["Content-Length"]) == (200, b"", str(SIZE))
    assert head["ETag"] == got["ETag"]


def test_how_a_file_is_called(serve: Any, service: Service) -> None:
    door = serve(service)
    assert door.ask("GET", "/small")["Content-Disposition"] == 'attachment; filename="digits.txt"'
    assert door.ask("GET", "/film")["Content-Disposition"] == "inline"
    assert door.ask("GET", "/film")["Last-Modified"] == formatdate(OLD, usegmt=True)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, SIZE),
        ("bytes=1000-1999", 1000, 2000),
        ("bytes=-5", SIZE - 5, SIZE),
        ("bytes=700000-999999999", SIZE - 1, SIZE),
        ("bytes=-99999999", 0, SIZE),
        ("bytes=5-300000, 300001-300002, 200-", 5, SIZE),
    ],
)
def test_one_part(serve: Any, service: Service, path: str, asked: str, start: int, stop: int) -> None:
    got = serve(service).ask("GET", path, {"Range": asked})
    assert (got.status, got["Content-Range"]) == (206, f"bytes {start}-{stop - 1}/{SIZE}")
    assert got.body == CONTENT[start:stop]
    assert got["Content-Length"] == str(stop - start)


@pytest.mark.parametrize("path", PATHS)
def test_several_parts(serve: Any, service: Service, path: str) -> None:
    got = serve(service).ask("GET", path, {"Range": "bytes=600000-600009,0-4,-3"})
    assert got.status == 206
    kind, _, boundary = got["Content-Type"].partition("; boundary=")
    assert kind == "multipart/byteranges"
    assert "Content-Range" not in got
    parts = got.body.split(f"\r\n--{boundary}".encode())
    assert parts[0] == b""
    assert parts[-1] == b"--\r\n"
    for part, (start, stop) in zip(parts[1:-1], [(600000, 600010), (0, 5), (SIZE - 3, SIZE)], strict=True):
        head, _, body = part.partition(b"\r\n\r\n")
        assert head.decode() == f"\r\nContent-Type: video/mp4\r\nContent-Range: bytes {start}-{stop - 1}/{SIZE}"
        assert body == CONTENT[start:stop]


@pytest.mark.parametrize("path", PATHS)
def test_a_part_that_is_not_there(serve: Any, service: Service, path: str) -> None:
    door = serve(service)
    for asked in ("bytes=700001-", "bytes=-0", "bytes=800000-900000,900001-"):
        got = door.ask("GET", path, {"Range": asked})
        assert (got.status, got["Content-Range"]) == (416, f"bytes */{SIZE}")
        assert got.json["code"] == "range_not_satisfiable"


@pytest.mark.parametrize(
    "asked", ["bytes", "bytes=", "bytes=5-1", "bytes=a-b", "bytes=1", "items=0-4", "bytes=--5", "bytes=1-2,x", "b=0-1"]
)
def test_a_range_that_is_none_is_ignored(serve: Any, service: Service, asked: str) -> None:
    got = serve(service).ask("GET", "/small", {"Range": asked})
    assert (got.status, got.body) == (200, SMALL)


def test_a_range_is_for_get_and_for_what_was_read(serve: Any, service: Service) -> None:
    door = serve(service)
    assert door.ask("HEAD", "/small", {"Range": "bytes=0-1"}).status == 200
    got = door.ask("POST", "/made", {"Range": "bytes=0-1"}, b"")
    assert (got.status, got.body) == (201, SMALL)
    assert door.ask("GET", "/small", {"Range": "bytes=0-1"}).body == b"01"


@pytest.mark.parametrize("path", PATHS)
def test_a_part_of_the_same_state_only(serve: Any, service: Service, path: str) -> None:
    door = serve(service)
    etag = door.ask("HEAD", path)["ETag"]
    asked = {"Range": "bytes=0-4"}
    assert door.ask("GET", path, {**asked, "If-Range": etag}).status == 206
    assert door.ask("GET", path, {**asked, "If-Range": f"W/{etag}"}).status == 200, "a weak tag is not enough"
    assert door.ask("GET", path, {**asked, "If-Range": '"other"'}).status == 200
    assert door.ask("GET", path, {**asked, "If-Range": "yesterday"}).status == 200
    dated = door.ask("GET", "/film", {**asked, "If-Range": formatdate(OLD, usegmt=True)})
    assert dated.status == 206
    assert door.ask("GET", "/film", {**asked, "If-Range": formatdate(OLD + 1, usegmt=True)}).status == 200


BEFORE, SAME, AFTER = (formatdate(OLD + more, usegmt=True) for more in (-60, 0, 60))


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"If-None-Match": "{etag}"}, 304),
        ({"If-None-Match": "W/{etag}"}, 304),
        ({"If-None-Match": '"x", {etag}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"x"'}, 200),
        ({"If-Modified-Since": SAME}, 304),
        ({"If-Modified-Since": AFTER}, 304),
        ({"If-Modified-Since": BEFORE}, 200),
        ({"If-Modified-Since": "once"}, 200),
        ({"If-None-Match": '"x"', "If-Modified-Since": SAME}, 200),
        ({"If-Match": "{etag}"}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": "W/{etag}"}, 412),
        ({"If-Match": '"x"'}, 412),
        ({"If-Match": '"x", {etag}'}, 200),
        ({"If-Unmodified-Since": SAME}, 200),
        ({"If-Unmodified-Since": BEFORE}, 412),
        ({"If-Unmodified-Since": "once"}, 200),
        ({"If-Match": "{etag}", "If-Unmodified-Since": BEFORE}, 200),
        ({"If-Match": "{etag}", "If-None-Match": "{etag}"}, 304),
        ({"If-Match": '"x"', "If-None-Match": "{etag}"}, 412),
        ({"If-None-Match": "{etag}", "Range": "bytes=0-1"}, 304),
        ({"If-Match": '"x"', "Range": "bytes=0-1"}, 412),
        ({"If-Match": "{etag}", "Range": "bytes=0-1"}, 206),
        ({"If-None-Match": '"x', "Range": "bytes=0-1"}, 400),
    ],
)
def test_conditions_in_their_order(serve: Any, service: Service, fields: dict[str, str], status: int) -> None:
    door = serve(service)
    etag = door.ask("HEAD", "/film")["ETag"]
    sent = {name: value.replace("{etag}", etag) for name, value in fields.items()}
    got = door.ask("GET", "/film", sent)
    assert got.status == status
    if status == 304:
        assert got["ETag"] == etag
        assert got.body == b""


def test_a_player_that_seeks_gets_the_film_that_it_began(listen: Any, service: Service, film: Path) -> None:
    """As a browser plays a film: the beginning, the index at the end, back, and on from anywhere, on one connection."""
    wire = listen(service).wire()
    etag, whole = "", bytearray(SIZE)
    for asked in ("bytes=0-", "bytes=699000-", "bytes=100000-400000", "bytes=0-99999", "bytes=350000-"):
        condition = f"If-Range: {etag}\r\n" if etag else ""
        wire.say(f"GET /film HTTP/1.1\r\nHost: t\r\nRange: {asked}\r\n{condition}\r\n".encode())
        got = wire.hear()
        assert got.status == 206
        etag = etag or got["ETag"]
        start, stop = map(int, got["Content-Range"].removeprefix("bytes ").partition("/")[0].split("-"))
        whole[start : stop + 1] = got.body
    assert bytes(whole) == CONTENT
    film.with_suffix(".new").write_bytes(b"another")
    film.with_suffix(".new").replace(film)
    wire.say(f"GET /film HTTP/1.1\r\nHost: t\r\nRange: bytes=2-\r\nIf-Range: {etag}\r\n\r\n".encode())
    got = wire.hear()
    assert (got.status, got.body) == (200, b"another"), "it is another film now: all of it, from its beginning"


def test_a_file_that_is_replaced_while_it_is_sent_goes_on_as_it_was(listen: Any, service: Service, film: Path) -> None:
    large = CONTENT * 20
    film.write_bytes(large)
    wire = listen(service).wire()
    wire.say(b"GET /film HTTP/1.1\r\nHost: t\r\n\r\n")
    wire.socket.recv(1, 2)  # a look: it has begun
    film.with_suffix(".new").write_bytes(b"x" * len(large))
    film.with_suffix(".new").replace(film)
    assert wire.hear().body == large


def test_a_file_that_is_written_over_while_it_is_sent_is_cut_off(listen: Any, service: Service, film: Path) -> None:
    large = CONTENT * 40
    film.write_bytes(large)
    door = listen(service)
    wire = door.wire()
    wire.say(b"GET /film HTTP/1.1\r\nHost: t\r\n\r\n")
    wire.socket.recv(1, 2)
    time.sleep(0.05)
    film.write_bytes(b"x" * len(large))
    with pytest.raises((EOFError, ConnectionResetError)):
        wire.hear()


def test_a_client_that_stops_reading_holds_no_file_for_ever(listen: Any, service: Service, film: Path) -> None:
    film.write_bytes(CONTENT * 40)
    wire = listen(service, write_timeout=1).wire()
    wire.say(b"GET /film HTTP/1.1\r\nHost: t\r\n\r\n")
    wire.socket.recv(1, 2)
    opened = Path("/proc/self/fd")
    deadline = time.monotonic() + 8
    while time.monotonic() < deadline and any(_leads_to(one, film) for one in opened.iterdir()):
        time.sleep(0.05)
    assert not any(_leads_to(one, film) for one in opened.iterdir())
    with pytest.raises((EOFError, ConnectionResetError)):
        wire.hear()


def _leads_to(link: Path, path: Path) -> bool:
    try:
        return link.readlink() == path
    except OSError:
        return False


def test_several_clients_of_different_speed_get_the_same(listen: Any, service: Service, film: Path) -> None:
    large = CONTENT * 10
    film.write_bytes(large)
    door = listen(service)
    got: list[bytes] = []

    def read(pause: float) -> None:
        wire = door.wire()
        wire.say(b"GET /film HTTP/1.1\r\nHost: t\r\n\r\n")
        time.sleep(pause)
        got.append(wire.hear().body)

    threads = [threading.Thread(target=read, args=(n * 0.02,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [large] * 6


@pytest.mark.parametrize("path", ["/gone", "/folder", "/odd"])
def test_what_is_no_file_is_a_fault_of_ours(serve: Any, service: Service, path: str) -> None:
    got = serve(service).ask("GET", path)
    assert (got.status, got.json["code"]) == (500, "internal_error")


def test_spans_cover_what_was_asked_for_and_nothing_twice() -> None:
    """Against the plain meaning of the field, for every pair of small ranges."""
    size = 6
    specs = [*(f"{a}-{b}" for a in range(7) for b in range(a, 8)), *(f"{a}-" for a in range(7)), "-1", "-3", "-9", "-0"]
    for one, other in itertools.product(specs, specs):
        spans = spans_of(f"bytes={one},{other}", size)
        assert spans is not None
        covered = [at for span in spans for at in range(*span)]
        assert sorted(covered) == sorted(_meant(one, size) | _meant(other, size))
        assert all(0 <= span.start < span.stop <= size for span in spans)


def _meant(spec: str, size: int) -> set[int]:
    first, _, last = spec.partition("-")
    if not first:
        return set(range(max(0, size - int(last)), size))
    return set(range(int(first), size if not last else min(size, int(last) + 1)))


def test_too_many_parts_are_too_many() -> None:
    def asked(count: int) -> list[Span] | None:
        return spans_of("bytes=" + ",".join(f"{3 * n}-{3 * n}" for n in range(count)), 10_000)

    assert len(asked(MAX_RANGES) or []) == MAX_RANGES
    assert asked(MAX_RANGES + 1) is None
    assert spans_of("bytes=" + "," * 100 + "0-1", 10) is None


def test_a_client_that_leaves_in_the_midst_is_no_fault_of_ours(listen: Any, service: Service, film: Path) -> None:
    film.write_bytes(CONTENT * 20)
    door = listen(service)
    for _ in range(5):
        wire = door.wire()
        wire.say(b"GET /film HTTP/1.1\r\nHost: t\r\n\r\n")
        wire.socket.recv(1)
        wire.close()
    assert door.ask("GET", "/small").status == 200
    assert [one.event for one in door.sample.client.recorder.notices if one.level == "error"] == []
