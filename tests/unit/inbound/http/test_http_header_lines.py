"""No text becomes more than the one header line that it is put into."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from http_sample import Sample
from hypothesis import given
from hypothesis import strategies as st

from mainstay.inbound.http.fields import line
from mainstay.inbound.http.options import HttpOptions
from mainstay.kernel.call import Reply
from mainstay.model.inputs import File
from mainstay.model.problem import Conflict

CONTROLS = [chr(code) for code in range(32) if chr(code) != "\t"] + ["\x7f"]


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_character_is_refused(control: str) -> None:
    for name, value in (("X-A", f"a{control}b"), (f"X-A{control}", "a"), ("X-A", f"a{control}"), ("X-A", control)):
        with pytest.raises(ValueError, match="header"):
            line(name, value)


@pytest.mark.parametrize("name", ["", " X", "X ", "X:", "X: y", "X y", "X(", "Ä", "X\t", "Set-Cookie: a=b; X"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        line(name, "a")


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Connection", "Keep-Alive", "Date", "Upgrade"])
def test_what_the_server_says_itself_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="the server writes it itself"):
        line(name, "1")


@given(st.text(max_size=8), st.text(max_size=20))
def test_a_line_is_one_line_or_none(name: str, value: str) -> None:
    try:
        made = line(name, value)
    except ValueError:
        return
    assert made.endswith(b"\r\n")
    assert made.count(b"\n") == made.count(b"\r") == 1
    assert b"\0" not in made


def answered(reply: Reply | Exception, target: bytes = b"/items/1") -> Any:
    sample = Sample()
    door = sample.door(HttpOptions())
    exchange = door.receive(b"GET", target, {b"host": b"t"}, "127.0.0.1", "127.0.0.1")
    assert exchange.call is not None
    return door.finish(exchange, reply), sample


SPLIT = "a\r\nSet-Cookie: stolen=1\r\n\r\n<script>"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"{}", headers=(("X-Told", SPLIT),)),
        Reply(body=b"{}", headers=((SPLIT, "a"),)),
        Reply(body=b"{}", headers=(("X-Told", "a\nb"),)),
        Reply(body=b"{}", headers=(("X-Told", "a\0b"),)),
        Reply(body=b"{}", headers=(("Content-Length", "0"),)),
        Reply(body=b"{}", headers=(("Transfer-Encoding", "chunked"),)),
    ],
    ids=["a value", "a name", "a line feed", "a null", "a length", "a coding"],
)
def test_a_header_that_would_split_the_answer_is_a_fault_of_ours(reply: Reply) -> None:
    answer, sample = answered(reply)
    assert answer.status == 500
    assert b"stolen" not in answer.head + answer.body
    assert [one.event for one in sample.recorder.seen] == ["answer_failed"]


def test_a_problem_cannot_split_its_answer() -> None:
    answer, _ = answered(Conflict(SPLIT, headers={"X-Told": SPLIT}))
    assert answer.status == 500
    assert b"stolen" not in answer.head


def test_a_name_of_a_file_stays_in_its_quotes() -> None:
    for name in (SPLIT, 'a"; filename="b', "a\\", "\u202egpj.exe", "\x00", "a\x7f", "..%2f..", "é"):
        answer, _ = answered(Reply(file=File(content=b"x", media_type="text/csv", filename=name)))
        assert answer.status == 200
        (found,) = [one for one in answer.head.split(b"\r\n") if one.lower().startswith(b"content-disposition:")]
        assert b"Set-Cookie" not in answer.head.replace(found, b"")
        inside = found.split(b'filename="')[1].split(b"; filename*=")[0]
        assert inside.endswith(b'"')
        assert b'"' not in inside[:-1]
        assert all(32 <= byte < 127 for byte in found)


def test_a_media_type_of_a_file_cannot_split_its_answer() -> None:
    answer, _ = answered(Reply(file=File(content=b"x", media_type=SPLIT)))
    assert answer.status == 500


@pytest.mark.parametrize("path", ["%0d%0aSet-Cookie:%20stolen=1", "%0D%0A%0D%0A", "%00", "%22%3E", "a%20b", "..%2f"])
def test_a_path_is_said_again_as_it_came(path: str) -> None:
    answer, _ = answered(Reply(body=b"{}", status=201, location=SPLIT, next=SPLIT), b"/items/" + path.encode())
    lines = answer.head.decode().split("\r\n")
    names = [one.partition(":")[0].lower() for one in lines if one]
    assert "set-cookie" not in names
    (location,) = [one for one in lines if one.startswith("Location: ")]
    assert location.endswith("/" + quote(SPLIT, safe=""))
    (link,) = [one for one in lines if one.startswith("Link: ")]
    assert link.count("<") == link.count(">") == 1


@pytest.mark.parametrize("target", [b"/items/%0d%0aX:%20y", b"/hello%0d%0aAllow:%20x"])
def test_no_target_reaches_the_head_of_a_refusal(target: bytes) -> None:
    sample = Sample()
    exchange = sample.door(HttpOptions()).receive(b"TRACE", target, {b"host": b"t"}, "127.0.0.1", "127.0.0.1")
    assert exchange.answer is not None
    assert b"X: y" not in exchange.answer.head
    assert exchange.answer.status in (404, 405)
