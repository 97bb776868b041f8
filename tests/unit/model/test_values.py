"""Values: secrets that stay secret, addresses, and what surrounds a use case's own types."""

from __future__ import annotations

import copy
import json
import pickle
import time
from typing import Annotated, Any, get_args

import msgspec
import pytest

from mainstay import Dto, Email, Entity, File, Find, Many, Page, Patch, RawBody, Secret, Sort, Stream, Upload, Url
from mainstay.model.inputs import many_of


class Item(Entity):
    name: str


@pytest.mark.parametrize(
    "shown",
    [repr, str, "{}".format, "{:>30}".format, lambda s: "%s %r" % (s, s), lambda s: repr({"a": [s]}), ascii],  # noqa: UP031 - each way of text
)
def test_no_text_shows_a_secret(shown: Any) -> None:
    assert "hunter2" not in shown(Secret("hunter2"))


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, pickle.dumps, msgspec.json.encode, msgspec.msgpack.encode, json.dumps, vars]
)
def test_nothing_takes_a_secret_out_but_reveal(copied: Any) -> None:
    secret = Secret("hunter2")
    with pytest.raises(TypeError) as refused:
        copied(secret)
    assert "hunter2" not in str(refused.value)
    assert secret.reveal() == "hunter2"


def test_secrets_are_compared_by_value_and_with_secrets_only() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


class Addressed(Dto):
    mail: Email = "a@b.de"
    url: Url = "https://a.de"


def taken(field: str, value: str) -> bool:
    try:
        msgspec.json.decode(json.dumps({field: value}), type=Addressed)
    except msgspec.ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("mail", "good"),
    [
        ("ann@example.com", True),
        ("a.b+c@sub.example.co", True),
        ("ann@localhost", False),
        ("ann@@example.com", False),
        ("ann@example.com\n", False),
        (".ann@example.com", False),
        ("ann.@example.com", False),
        ("ann@-example.com", False),
        (f"{'a' * 65}@example.com", False),
        (f"a@{'b' * 250}.com", False),
        ("\u00e4nn@example.com", False),
    ],
)
def test_an_address_of_mail(mail: str, good: bool) -> None:
    assert taken("mail", mail) is good


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://example.com/a?b=c#d", True),
        ("http://[::1]:8080/", True),
        ("http://192.0.2.1", True),
        ("ftp://example.com", False),
        ("https://user:secret@example.com", False),
        ("https://example.com/a b", False),
        ("https://example.com\n", False),
        ("javascript:alert(1)", False),
        ("//example.com", False),
    ],
)
def test_an_address_of_the_web(url: str, good: bool) -> None:
    assert taken("url", url) is good


@pytest.mark.parametrize(
    ("field", "value"),
    [("mail", "a." * 120 + "@"), ("mail", "a@" + "b-" * 120), ("url", "http://" + "a" * 2000 + "\n")],
)
def test_addresses_are_matched_in_linear_time(field: str, value: str) -> None:
    started = time.perf_counter()
    assert not taken(field, value)
    assert time.perf_counter() - started < 0.5


def test_a_patch_holds_what_is_to_change() -> None:
    patch: Patch[Item] = Patch({"name": "a"}, stock=None)
    assert "stock" in patch
    assert "price" not in patch
    assert (patch["name"], patch["stock"]) == ("a", None)
    assert patch == Patch(name="a", stock=None)
    assert patch != Patch(name="a")
    assert patch != {"name": "a", "stock": None}
    assert repr(patch) == "Patch(name, stock)"  # the values may be secret
    with pytest.raises(TypeError):
        hash(patch)


def test_a_search_begins_with_the_first_page_of_all() -> None:
    find: Find[Item] = Find()
    assert (find.limit, find.cursor, find.count, find.sort, find.fields, find.include) == (
        50,
        None,
        False,
        (),
        None,
        (),
    )
    assert Sort("name") != Sort("name", descending=True)


def test_a_page_leaves_out_what_it_has_not() -> None:
    page: Page[int] = Page(items=[1])
    assert msgspec.json.encode(page) == b'{"items":[1]}'
    assert msgspec.json.encode(Page(items=[1], next="c", count=2)) == b'{"items":[1],"next":"c","count":2}'


def test_many_is_a_marked_list_that_may_be_left_out() -> None:
    annotation: Any = Many[Item]
    assert many_of(annotation) is Item
    assert msgspec.UnsetType in get_args(get_args(annotation)[0])
    for other in (list[Item], Annotated[int, "x"], int):
        assert many_of(other) is None


async def test_an_upload_is_read_whole_or_in_parts() -> None:
    upload = Upload(b"x" * 70000, media_type="text/plain", filename="a.txt")
    assert (upload.size, upload.media_type, upload.filename) == (70000, "text/plain", "a.txt")
    assert await upload.read() == b"x" * 70000
    assert [len(part) async for part in upload] == [65536, 4464]
    assert [part async for part in Upload(b"")] == []


async def test_files_streams_and_raw_bodies() -> None:
    async def numbers() -> Any:
        yield 1

    stream: Stream[int] = Stream(numbers())
    assert [n async for n in stream.items] == [1]
    assert File(content=b"a").media_type == "application/octet-stream"
    assert RawBody(b"a") == b"a"
