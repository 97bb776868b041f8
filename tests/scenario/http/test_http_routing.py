"""What is found at a path, by either form of the door."""

from __future__ import annotations

from typing import Any

import pytest
from http_sample import Sample

from mainstay.ports.observer import CallEnded


def test_a_query_is_answered_as_json(ask: Any, sample: Sample) -> None:
    answer = ask("GET", "/hello")
    assert (answer.status, answer.json) == (200, {"hello": "world"})
    assert answer["Content-Type"] == "application/json"
    assert answer["Content-Length"] == "17"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Cache-Control"] == "no-store"
    assert not any(answer.all("Server"))  # no name, whoever serves
    (call,) = sample.calls
    assert (call.protocol, call.method, call.target, call.peer) == ("rest", "GET", "/hello", "127.0.0.1")
    assert call.request_id == answer["X-Request-ID"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/items/7", "7"),
        ("/items/a%2Fb", "a/b"),
        ("/items/%E2%82%AC", "€"),
        ("/items/a+b", "a+b"),
        ("/items/..", ".."),
        ("http://test/items/7", "7"),
    ],
)
def test_a_segment_is_decoded_by_itself(ask: Any, path: str, value: str) -> None:
    answer = ask("GET", path)
    assert (answer.status, answer.json) == (200, {"id": value})


@pytest.mark.parametrize("path", ["/nope", "/hello/", "/items/", "/items//", "/items/7/x", "/Hello", "//hello"])
def test_another_path_is_not_found(ask: Any, sample: Sample, path: str) -> None:
    answer = ask("GET", path)
    assert (answer.status, answer["Content-Type"]) == (404, "application/problem+json")
    assert answer.json["code"] == "not_found"
    assert answer.json["type"] == "urn:problem:not_found"
    assert answer["X-Request-ID"]
    (seen,) = sample.recorder.seen
    assert isinstance(seen, CallEnded)
    assert (seen.operation, seen.status, seen.request_id) == ("-", 404, answer["X-Request-ID"])


@pytest.mark.parametrize("path", ["/items/%FF", "/items/%zz", "/items/%", "/items/%C0%AF", "/items/%ED%A0%80"])
def test_a_path_that_is_no_utf_8_is_malformed(ask: Any, path: str) -> None:
    answer = ask("GET", path)
    assert (answer.status, answer.json["code"]) == (400, "path_malformed")


@pytest.mark.parametrize("query", ["a=%FF", "a=%z1", "%", "a=1&b=%C3"])
def test_a_query_string_that_is_no_utf_8_is_malformed(ask: Any, query: str) -> None:
    answer = ask("GET", f"/items/7?{query}")
    assert (answer.status, answer.json["code"]) == (400, "query_malformed")


def test_the_query_string_comes_as_pairs_in_order(ask: Any, sample: Sample) -> None:
    assert ask("GET", "/hello?b=1&a=2+3&b=%26&c&&d=x=y").status == 200
    assert list(sample.calls[0].query) == [("b", "1"), ("a", "2 3"), ("b", "&"), ("c", ""), ("d", "x=y")]


def test_head_is_get_without_the_body(ask: Any, sample: Sample) -> None:
    answer = ask("HEAD", "/hello")
    assert (answer.status, answer.body, answer["Content-Length"]) == (200, b"", "17")
    assert sample.calls[0].method == "HEAD"
    assert ask("HEAD", "/nope").status == 404
    assert ask("HEAD", "/openapi.json")["Content-Length"] == "2"
    assert ask("HEAD", "/items/7?fields=id").status == 200


def test_another_method_is_refused_with_those_that_are_taken(ask: Any, sample: Sample) -> None:
    answer = ask("PUT", "/items/7")
    assert (answer.status, answer["Allow"]) == (405, "DELETE, GET, HEAD, OPTIONS, PATCH")
    assert answer.json["code"] == "method_not_allowed"
    assert not sample.calls
    assert ask("DELETE", "/openapi.json")["Allow"] == "GET, HEAD, OPTIONS"


def test_options_says_what_is_taken(ask: Any) -> None:
    answer = ask("OPTIONS", "/items")
    assert (answer.status, answer["Allow"], answer.body) == (204, "GET, HEAD, OPTIONS, POST", b"")
    assert "Content-Length" not in answer
    assert ask("OPTIONS", "/nope").status == 404
    assert ask("OPTIONS", "*")["Allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST"


def test_documents_are_served_as_they_are(ask: Any) -> None:
    answer = ask("GET", "/openapi.json")
    assert (answer.status, answer.body, answer["ETag"]) == (200, b"{}", '"o1"')
    assert ask("GET", "/openapi.json", {"If-None-Match": 'W/"o1"'}).status == 304
    assert ask("GET", "/openapi.json", {"If-None-Match": '"o2"'}).status == 200
    assert ask("GET", "/openapi.json?x=1").status == 200


def test_pages_are_made_anew(ask: Any) -> None:
    answer = ask("GET", "/health")
    assert (answer.status, answer.json, answer["Cache-Control"]) == (200, {"status": "up"}, "no-store")
    assert ask("GET", "/ready").json == {"status": "ready"}


def test_the_readiness_page_says_503_while_the_door_drains(door: Any) -> None:
    client = door()
    client.door.draining = True
    answer = client.ask("GET", "/ready")
    assert (answer.status, answer.json["code"]) == (503, "unavailable")
    assert client.ask("GET", "/health").status == 200
    assert client.ask("GET", "/hello").status == 200


def test_a_target_over_its_bound_is_refused(door: Any) -> None:
    client = door(max_target_bytes=100)
    assert client.ask("GET", "/items/" + "x" * 93).status == 200
    answer = client.ask("GET", "/items/" + "x" * 94)
    assert (answer.status, answer.json["code"]) == (414, "uri_too_long")


def test_headers_over_their_bound_are_refused(door: Any) -> None:
    client = door(max_header_bytes=1000, max_headers=20)
    assert client.ask("GET", "/hello", {"X-Big": "x" * 800}).status == 200
    answer = client.ask("GET", "/hello", {"X-Big": "x" * 1000})
    assert (answer.status, answer.json["code"]) == (431, "headers_too_large")
    assert client.ask("GET", "/hello", {f"X-{n}": "1" for n in range(21)}).status == 431


def test_a_field_that_may_be_sent_once_is_not_taken_twice(ask: Any) -> None:
    answer = ask("GET", "/hello", {"Authorization": "Bearer a", "authorization": "Bearer b"})
    assert (answer.status, answer.json["code"]) == (400, "header_malformed")


def test_an_exception_is_a_500_without_detail(ask: Any, sample: Sample) -> None:
    answer = ask("GET", "/boom")
    assert (answer.status, answer.json["code"]) == (500, "internal_error")
    assert b"secret" not in answer.body
    assert answer.json["request_id"] == answer["X-Request-ID"]
    assert isinstance(sample.recorder.seen[0].error, RuntimeError)
