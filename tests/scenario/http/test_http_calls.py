"""What of a request gets into a call, and what of a reply gets into an answer, by either form of the door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from http_sample import ROW, Sample

JSON = {"Content-Type": "application/json"}


def test_a_created_thing_says_where_it_is(ask: Any, sample: Sample) -> None:
    answer = ask("POST", "/items", JSON, b'{"name":"a"}')
    assert (answer.status, answer.json) == (201, {"name": "a"})
    assert answer["Location"] == f"/items/{ROW}"
    assert answer["ETag"].startswith('"1-')
    assert answer["Cache-Control"] == "no-store"
    assert sample.calls[0].media_type == "application/json"


def test_a_problem_of_the_team_is_a_document(ask: Any) -> None:
    answer = ask("POST", "/items", JSON, b'{"name":"taken"}')
    assert answer.status == 409
    assert answer.json == {
        "type": "urn:problem:name_taken",
        "title": "An item of this name is there already",
        "status": 409,
        "detail": "An item of this name is there already",
        "code": "name_taken",
        "hint": "Choose another name.",
        "name": "taken",
    }


@pytest.mark.parametrize("accept", ["*/*", "application/*", "application/json", "text/html, */*;q=0.1", ""])
def test_what_is_wanted_is_given(ask: Any, accept: str) -> None:
    assert ask("GET", "/hello", {"Accept": accept} if accept else {}).status == 200


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "application/xml, text/*", "text/*"])
def test_what_is_not_wanted_is_not_given(ask: Any, sample: Sample, accept: str) -> None:
    answer = ask("GET", "/hello", {"Accept": accept})
    assert (answer.status, answer.json["gives"]) == (406, ["application/json", "application/vnd.msgpack"])
    assert not sample.calls
    assert sample.recorder.seen[0].operation == "m.hello"


@pytest.mark.parametrize("media", ["text/plain", "application/xml", "application/json; charset=latin-1", "json", ""])
def test_a_body_of_another_media_type_is_refused(ask: Any, sample: Sample, media: str) -> None:
    answer = ask("POST", "/items", {"Content-Type": media} if media else {}, b'{"name":"a"}')
    assert (answer.status, answer["Accept-Post"]) == (415, "application/json, application/vnd.msgpack")
    assert not sample.calls


def test_a_patch_says_what_it_takes(ask: Any) -> None:
    headers = {"Content-Type": "text/plain", "If-Match": "*"}
    told = ask("PATCH", "/items/1", headers, b"x")["Accept-Patch"]
    assert told == "application/json, application/merge-patch+json, application/vnd.msgpack"
    headers["Content-Type"] = "Application/Merge-Patch+JSON; charset=UTF-8"
    assert ask("PATCH", "/items/1", headers, b"{}").status == 200


def test_a_body_over_its_bound_is_refused(door: Any, sample: Sample) -> None:
    client = door(max_body_bytes=100, max_upload_bytes=300)
    assert client.ask("POST", "/items", JSON, b'{"name":"%s"}' % (b"x" * 89)).status == 201
    answer = client.ask("POST", "/items", JSON, b'{"name":"%s"}' % (b"x" * 90))
    assert (answer.status, answer.json["code"], answer.json["limit"]) == (413, "too_large", 100)
    assert client.ask("POST", "/files", JSON, b"x" * 300).json["size"] == 300
    assert client.ask("POST", "/files", JSON, b"x" * 301).status == 413


def test_an_empty_body_is_for_validation_to_refuse(ask: Any) -> None:
    answer = ask("POST", "/items", JSON, b"")
    assert (answer.status, answer.json["detail"]) == (400, "the body is missing")


def test_a_body_that_nobody_asked_for_is_let_go(ask: Any, sample: Sample) -> None:
    assert ask("GET", "/hello", JSON, b"[1]").status == 200
    assert ask("DELETE", "/items/1", {}, b"[1]").status == 204
    assert [call.body for call in sample.calls] == [None, None]


def test_the_head_stages_come_before_the_body(ask: Any, sample: Sample) -> None:
    answer = ask("POST", "/items", {**JSON, "Authorization": "Bearer bad"}, b'{"name":"a"}')
    assert (answer.status, answer["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("field", "token", "scheme"),
    [
        ("Bearer abc", b"abc", None),
        ("bearer  abc ", b"abc", None),
        ("Bearer", b"", None),
        ("Basic dXNlcjpwYXNz", None, "Basic"),
    ],
)
def test_credentials(ask: Any, sample: Sample, field: str, token: bytes | None, scheme: str | None) -> None:
    ask("GET", "/hello", {"Authorization": field})
    assert (sample.calls[0].credentials, sample.calls[0].scheme) == (token, scheme)


@pytest.mark.parametrize(
    ("field", "key"),
    [('"k-1"', "k-1"), ("k-1", "k-1"), ('"a \\" b"', 'a " b'), ("8e03978e-40d5-43dd-bc93-6894a57f9324",) * 2],
)
def test_the_idempotency_key(ask: Any, sample: Sample, field: str, key: str) -> None:
    assert ask("POST", "/items", {**JSON, "Idempotency-Key": field}, b'{"name":"a"}').status == 201
    assert sample.calls[0].idempotency_key == key


@pytest.mark.parametrize("field", ['""', '"a', "a b", '"a" "b"', "a,b", '"é"', "x" * 256])
def test_an_idempotency_key_that_is_none(ask: Any, sample: Sample, field: str) -> None:
    answer = ask("POST", "/items", {**JSON, "Idempotency-Key": field}, b'{"name":"a"}')
    assert (answer.status, answer.json["code"]) == (400, "header_malformed")
    assert not sample.calls


def test_a_replay_says_so(ask: Any) -> None:
    answer = ask("POST", "/items", {**JSON, "Idempotency-Key": "again"}, b'{"name":"a"}')
    assert answer["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize("given", ["abc-1.2_X", "a" * 64])
def test_a_fit_request_id_is_kept(ask: Any, given: str) -> None:
    assert ask("GET", "/hello", {"X-Request-ID": given})["X-Request-ID"] == given
    assert ask("GET", "/nope", {"X-Request-ID": given})["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["a b", "a" * 65, "<x>", "é"])
def test_an_unfit_request_id_is_replaced(ask: Any, sample: Sample, given: str) -> None:
    answer = ask("GET", "/hello", {"X-Request-ID": given})
    assert len(answer["X-Request-ID"]) == 22
    assert sample.calls[0].request_id == answer["X-Request-ID"]


def test_traceparent_is_passed_on_where_it_is_valid(ask: Any, sample: Sample) -> None:
    good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    ask("GET", "/hello", {"traceparent": good})
    ask("GET", "/hello", {"traceparent": good.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32)})
    assert [call.traceparent for call in sample.calls] == [good, None]


def test_header_fields_can_be_asked_for(ask: Any, sample: Sample) -> None:
    ask("GET", "/hello", {"X-Tenant": "t1"})
    assert sample.calls[0].headers("x-tenant") == "t1"
    assert sample.calls[0].headers("x-other") is None


def test_limits_are_told_with_a_problem_too(ask: Any) -> None:
    answer = ask("GET", "/limited")
    assert (answer.status, answer["Retry-After"]) == (429, "3")
    assert "q=20;w=60" in answer["RateLimit-Policy"]
    assert "r=0" in answer["RateLimit"]


def test_the_next_page_is_linked(ask: Any) -> None:
    answer = ask("GET", "/items?limit=2&cursor=old&name=a%26b")
    assert answer["Link"] == '</items?limit=2&name=a%26b&cursor=c2+%26%3E>; rel="next"'


def test_a_file_has_its_type_and_its_name(ask: Any) -> None:
    answer = ask("GET", "/file")
    assert (answer.status, answer.body, answer["Content-Type"]) == (200, b"a,b\n", "text/csv")
    expected = "attachment; filename=\"___w 1.csv\"; filename*=UTF-8''%C5%BC%C3%B3%C5%82w%201.csv"
    assert answer["Content-Disposition"] == expected


def test_a_stream_is_sent_item_by_item_and_closed(ask: Any, sample: Sample) -> None:
    answer = ask("GET", "/ticker?n=3")
    assert (answer.status, answer.body) == (200, b'{"n":0}\n{"n":1}\n{"n":2}\n')
    assert "Content-Length" not in answer
    assert ask("HEAD", "/ticker?n=3").body == b""
    assert sample.streams_closed in (1, 2)


def test_a_file_of_the_disk_is_sent_with_its_length(ask: Any, tmp_path: Path) -> None:
    path = tmp_path / "big.csv"
    path.write_bytes(b"0123456789" * 20_000)
    answer = ask("GET", f"/file?path={path}")
    assert (answer.status, answer["Content-Length"], answer.body) == (200, "200000", path.read_bytes())
    assert ask("HEAD", f"/file?path={path}")["Content-Length"] == "200000"


def test_a_file_that_is_not_there_is_a_500_that_is_told(ask: Any, sample: Sample) -> None:
    answer = ask("GET", "/file?path=/nowhere/at/all.csv")
    assert (answer.status, answer.json["code"]) == (500, "internal_error")
    assert b"nowhere" not in answer.body
    assert isinstance(sample.recorder.seen[-1].error, FileNotFoundError)
