"""The page of events: all that is to be known of each, in text, with nothing of any other host."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import pytest
from contracts import bound_of
from event_shapes import dto, event
from shop_served import settings_for, shop_service

from mainstay import Events, Module, Service, anyone
from mainstay.deliver.docs import DocsFile, docs_files, events_files
from mainstay.model.blueprint import Blueprint


class Text(HTMLParser):
    """Reads a page: the text of its tags, what it refers to, and whether tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[tuple[str, str]] = []
        self.references: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link"):
            self.open.append(tag)
        self.references += [value for name, value in attrs if name in ("href", "src") and value]
        assert not any(name.startswith("on") or name == "style" for name, _ in attrs)
        assert tag not in ("script", "iframe", "img", "object", "form")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.words.append((self.open[-1], data.strip()))


@pytest.fixture(scope="module")
def shop() -> Blueprint:
    return bound_of(shop_service(settings_for("memory:"))).blueprint


def read(files: list[DocsFile]) -> Text:
    found = Text()
    found.feed(files[0].body.decode())
    assert found.open == []
    return found


def test_each_event_is_told_with_who_sends_and_receives_it(shop: Blueprint) -> None:
    words = read(events_files(shop)).words
    assert [text for tag, text in words if tag == "h2"] == [
        "parcels.ParcelHandedOver",
        "store.OrderCancelled",
        "store.OrderPlaced",
    ]
    assert [text for tag, text in words if tag == "span"] == ["version 1", "version 1"]
    for expected in (
        ("p", "A customer has ordered."),
        ("code", "store.place_order"),
        ("code", "mailbox.thank"),
        ("small", "(versions taken: 1)"),
        ("code", "total"),
        ("td", "string, format uuid, required"),
    ):
        assert expected in words


def test_it_refers_to_its_own_host_only(shop: Blueprint) -> None:
    page, style = events_files(shop)
    assert page.path == "/docs/events"
    own = [one for one in read([page]).references if not one.startswith(("data:", "#"))]
    assert sorted(urljoin("http://test/docs/events", one) for one in own) == [
        "http://test/asyncapi.json",
        "http://test/docs",
        f"http://test{style.path}",
    ]
    assert b"url(" not in style.body
    assert b"@import" not in style.body
    policy = dict(page.headers)["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; ")


def test_it_is_the_same_bytes_each_time(shop: Blueprint) -> None:
    assert events_files(shop) == events_files(shop)


def test_a_service_without_events_has_no_page() -> None:
    assert events_files(bound_of(Service("empty", modules=[Module("none")])).blueprint) == []
    (page, *_) = docs_files("Empty")
    assert b"docs/events" not in page.body


def test_what_is_declared_is_text_in_it() -> None:
    kind = event({"held": dto({"a": (str, "<b>")})})
    kind.__doc__ = "<script>alert(1)</script> & more."
    desk = Module("desk")

    @desk.command("POST /change", allow=anyone)
    async def change(events: Events) -> None:
        """Change "it" <now>."""
        events.emit(kind)

    @desk.on(kind)
    async def note() -> None: ...

    blueprint = bound_of(Service("s", modules=[desk], title="<i>S</i>")).blueprint
    words = read(events_files(blueprint)).words
    assert ("p", "<script>alert(1)</script> & more.") in words
    assert ("h1", "<i>S</i>: events") in words
    assert ("code", "held/a") in words


def test_an_event_of_another_service_is_told_as_it_is_read_here() -> None:
    kind = event({"amount": int})
    desk = Module("desk")

    async def book(event: Any) -> None: ...

    book.__annotations__["event"] = kind
    desk.on("bank.Paid")(book)
    words = read(events_files(bound_of(Service("s", modules=[desk])).blueprint)).words
    assert ("p", "An event of another service.") in words
    assert ("h3", "What book reads") in words
    assert ("code", "amount") in words
