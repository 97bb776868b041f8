"""The table of routes."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.inbound.http.problems import PathMalformed
from mainstay.inbound.http.routes import Declared, Routes


def table(*routes: str) -> Routes[str]:
    return Routes(Declared(*route.split(" "), route) for route in routes)


def test_a_literal_wins_over_a_name() -> None:
    routes = table("GET /orders/{id}", "GET /orders/report", "POST /orders/{id}", "GET /orders/{id}/lines")
    assert routes.find(b"GET", b"/orders/report").target == "GET /orders/report"  # type: ignore[union-attr]
    assert routes.find(b"GET", b"/orders/%72eport").target == "GET /orders/report"  # type: ignore[union-attr]
    found = routes.find(b"POST", b"/orders/report")
    assert found is not None
    assert (found.target, found.arguments) == ("POST /orders/{id}", {"id": "report"})
    found = routes.find(b"GET", b"/orders/report/lines")
    assert found is not None
    assert found.arguments == {"id": "report"}
    assert routes.allowed(b"/orders/report") == ("GET", "HEAD", "OPTIONS", "POST")


def test_names_are_those_of_the_route_that_is_taken() -> None:
    routes = table("GET /a/{x}", "DELETE /a/{y}", "GET /a/{x}/b/{z}")
    assert routes.find(b"DELETE", b"/a/1").arguments == {"y": "1"}  # type: ignore[union-attr]
    assert routes.find(b"GET", b"/a/1/b/2").arguments == {"x": "1", "z": "2"}  # type: ignore[union-attr]


@pytest.mark.parametrize("path", [b"/", b"", b"/a", b"/a/", b"/a//", b"/a/1/", b"/a/1/b", b"/a/1/b/", b"/a/1/b/2/3"])
def test_what_is_not_there(path: bytes) -> None:
    routes = table("GET /a/{x}", "GET /a/{x}/b/{z}")
    assert (routes.find(b"GET", path), routes.allowed(path)) == (None, ())


def test_the_root_and_literals_beyond_ascii() -> None:
    routes = table("GET /", "GET /żółw")
    assert routes.find(b"GET", b"/") is not None
    assert routes.find(b"HEAD", quote("/żółw").encode()) is not None
    assert routes.methods() == ("GET", "HEAD", "OPTIONS")


def test_conflicts_are_routes_of_one_shape() -> None:
    routes = table("GET /a/{x}", "GET /a/{y}", "POST /a/{x}", "GET /a/b", "GET /a/b")
    assert [(a.path, b.path) for a, b in routes.conflicts()] == [("/a/{x}", "/a/{y}"), ("/a/b", "/a/b")]
    assert routes.find(b"GET", b"/a/1").arguments == {"x": "1"}  # type: ignore[union-attr]


@given(st.text(min_size=1).filter(lambda text: text.encode("utf-8", "ignore").decode() == text))
def test_any_text_is_one_segment(text: str) -> None:
    routes = table("GET /a/{x}/end")
    encoded = quote(text, safe="").encode()
    assert routes.find(b"GET", b"/a/" + encoded + b"/end").arguments == {"x": text}  # type: ignore[union-attr]


@given(st.binary())
def test_any_path_is_found_or_not_or_malformed(path: bytes) -> None:
    routes = table("GET /a/{x}", "GET /a/{x}/b", "GET /{y}")
    with suppress(PathMalformed):
        routes.find(b"GET", path)


SEGMENT = st.sampled_from(["items", "report", "a-1", "%61", "x?y=1", "é", "", ".", "..", "0199c0de-0000", "{id}", "--"])


@given(st.lists(SEGMENT, min_size=1, max_size=4), st.sampled_from([b"GET", b"HEAD", b"POST", b"DELETE"]))
def test_a_glance_says_nothing_that_the_table_does_not(segments: list[str], method: bytes) -> None:
    routes = table(
        "GET /items/{id}", "POST /items/report", "GET /items/report", "DELETE /{kind}/{id}", "GET /items/{id}/{part}"
    )
    target = ("/" + "/".join(segments)).encode()
    if method in routes.static.get(target, {}):
        return  # what has no braces goes first, and is not asked about
    seen = routes.glance(method, target)
    if seen is not None:
        assert seen == routes.find(method, target)


def test_a_glance_sees_the_usual() -> None:
    routes = Routes([Declared("GET", "/items/{id}", "one")], 30)
    assert routes.glance(b"GET", b"/items/0199c0de-7000") == ("one", {"id": "0199c0de-7000"}, "")
    assert routes.glance(b"POST", b"/items/1") is None
    assert routes.glance(b"GET", b"/items/1?a=b") is None
    assert routes.glance(b"GET", b"/items/" + b"1" * 24) is None
