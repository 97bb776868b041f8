"""What is decided when a door is put together."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from http_sample import Sample

from mainstay.inbound.http.door import Door
from mainstay.inbound.http.fields import line
from mainstay.inbound.http.options import Cors, HttpOptions
from mainstay.inbound.http.problems import STATUS
from mainstay.inbound.http.server import listen
from mainstay.inbound.http.targets import location_of
from mainstay.kernel.call import Reply
from mainstay.kernel.dispatch import dispatch
from mainstay.model.inputs import File
from mainstay.model.problem import Kind


def test_every_kind_of_problem_has_a_status() -> None:
    assert set(STATUS) == set(Kind)
    assert all(400 <= status < 600 for status in STATUS.values())


@pytest.mark.parametrize(
    "origin", ["https://shop.example/", "shop.example", "https://Shop.example", "https://*.example", ""]
)
def test_an_origin_that_no_browser_sends(origin: str) -> None:
    with pytest.raises(ValueError, match="expected scheme"):
        Cors(origins=(origin,))


def test_any_origin_does_not_go_with_credentials_or_others() -> None:
    with pytest.raises(ValueError, match="credentials"):
        Cors(origins=("*",), credentials=True)
    with pytest.raises(ValueError, match="alone"):
        Cors(origins=("*", "https://shop.example"))
    Cors(origins=("http://[::1]:8080", "https://shop.example"), credentials=True)


def test_a_bound_below_nothing() -> None:
    with pytest.raises(ValueError, match="max_body_bytes"):
        HttpOptions(max_body_bytes=-1)


def test_two_operations_on_one_route() -> None:
    sample = Sample()
    operations = sample.operations()
    with pytest.raises(ValueError, match="GET /hello is the same as GET /hello"):
        Door([*operations, operations[0]], dispatch, ids=sample.ids, clock=sample.clock, observer=sample.recorder)


def test_where_a_created_thing_is() -> None:
    operations = {one.operation.name: one for one in Sample().operations()}
    everything = list(operations.values())
    assert location_of(operations["create_item"], everything) == "/items"
    assert location_of(operations["upload"], everything) is None


def test_a_header_cannot_be_ended_early() -> None:
    assert line("X-A", "b") == b"X-A: b\r\n"
    for value in ("a\r\nX-B: c", "a\nb", "a\0b"):
        with pytest.raises(ValueError, match="line break"):
            line("X-A", value)


async def test_a_file_of_the_disk(tmp_path: Path) -> None:
    sample = Sample()
    door = sample.door(HttpOptions())
    exchange = door.receive(b"GET", b"/file", {b"host": b"t"}, "127.0.0.1", "127.0.0.1")
    path = tmp_path / "a.csv"
    answer = door.finish(exchange, Reply(file=File(content=path, media_type="text/csv", filename='a".csv')))
    path.write_bytes(b"a,b\n")
    opened = await answer.later()
    assert (opened.segments.length, opened.body) == (4, b"")
    opened.segments.close()
    answer = opened
    assert b"Content-Disposition: attachment; filename=\"a_.csv\"; filename*=UTF-8''a%22.csv\r\n" in answer.head


def test_a_reply_that_cannot_be_encoded_is_a_500_that_is_told() -> None:
    sample = Sample()
    door = sample.door(HttpOptions())
    exchange = door.receive(b"GET", b"/hello", {b"host": b"t"}, "127.0.0.1", "127.0.0.1")
    answer = door.finish(exchange, Reply(body=b"{}", headers=(("X-A", "b\r\nc"),)))
    assert answer.status == 500
    assert sample.recorder.seen[0].event == "answer_failed"  # type: ignore[union-attr]


def test_a_secret_is_neither_kept_nor_validated() -> None:
    door = Sample().door(HttpOptions())
    exchange = door.receive(b"GET", b"/items/1", {b"host": b"t"}, "127.0.0.1", "127.0.0.1")
    answer = door.finish(exchange, Reply(body=b"{}", version=1, secret=True))
    assert b"ETag" not in answer.head
    assert b"Cache-Control: no-store" in answer.head


def test_headers_of_the_team_win_over_the_usual_ones() -> None:
    door = Sample().door(HttpOptions())
    exchange = door.receive(b"GET", b"/hello", {b"host": b"t"}, "127.0.0.1", "127.0.0.1")
    answer = door.finish(exchange, Reply(body=b"{}", headers=(("Cache-Control", "max-age=60"),)))
    assert answer.head.count(b"Cache-Control") == 1


def test_listening_on_an_address_that_is_taken() -> None:
    (first,) = listen("127.0.0.1", 0)
    try:
        with pytest.raises(OSError, match=r"cannot listen on 127\.0\.0\.1 port"):
            listen("127.0.0.1", first.getsockname()[1])
    finally:
        first.close()


def test_several_processes_may_share_an_address() -> None:
    (first,) = listen("127.0.0.1", 0, reuse_port=True)
    (second,) = listen("127.0.0.1", first.getsockname()[1], reuse_port=True)
    assert first.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    first.close()
    second.close()
