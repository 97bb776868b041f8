"""Conditional requests, uploads, and pages of other origins, by either form of the door."""

from __future__ import annotations

from typing import Any

import pytest
from http_sample import Sample

from mainstay.inbound.http.options import Cors

JSON = {"Content-Type": "application/json"}


def test_a_row_that_is_known_is_not_sent_again(ask: Any) -> None:
    first = ask("GET", "/items/1")
    tag = first["ETag"]
    assert first["Cache-Control"] == "no-cache"
    again = ask("GET", "/items/1", {"If-None-Match": f'"x", W/{tag}'})
    assert (again.status, again.body, again["ETag"]) == (304, b"", tag)
    assert "Content-Type" not in again
    assert "Content-Length" not in again
    assert ask("GET", "/items/1", {"If-None-Match": '"4-00000000"'}).status == 200
    assert ask("GET", "/items/1", {"If-None-Match": "*"}).status == 304
    assert ask("HEAD", "/items/1", {"If-None-Match": tag}).status == 304


def test_the_validator_is_of_the_representation_too(ask: Any) -> None:
    whole, part = ask("GET", "/items/1"), ask("GET", "/items/1?fields=id")
    assert whole["ETag"] != part["ETag"]
    assert ask("GET", "/items/1?fields=id", {"If-None-Match": whole["ETag"]}).status == 200


def test_what_was_read_with_credentials_is_private(ask: Any) -> None:
    assert ask("GET", "/items/1", {"Authorization": "Bearer a"})["Cache-Control"] == "private, no-cache"
    assert ask("GET", "/hello", {"Authorization": "Bearer a"})["Cache-Control"] == "no-store"


def test_a_change_names_the_version_that_it_is_of(ask: Any) -> None:
    def versions(field: str) -> Any:
        return ask("PATCH", "/items/1", {**JSON, "If-Match": field}, b"{}").json["versions"]

    assert versions(ask("GET", "/items/1")["ETag"]) == [3]
    assert versions('"3-00000000", "5-00000000"') == [3, 5]
    assert versions("*") == []
    assert versions('W/"3-00000000"') == [-1]
    assert versions('"of-another-service"') == [-1]


def test_a_change_that_must_be_conditional_is(ask: Any, sample: Sample) -> None:
    answer = ask("PATCH", "/items/1", JSON, b"{}")
    assert (answer.status, answer.json["code"]) == (428, "precondition_required")
    assert not sample.calls
    assert ask("DELETE", "/items/1").status == 204


@pytest.mark.parametrize("field", ["3", '"3', '"3-x" "4-x"', ",", '"a";'])
def test_a_condition_that_is_none(ask: Any, field: str) -> None:
    assert ask("PATCH", "/items/1", {**JSON, "If-Match": field}, b"{}").status == 400
    assert ask("GET", "/items/1", {"If-None-Match": field}).status == 400


def test_a_query_can_ask_for_one_version(ask: Any) -> None:
    assert ask("GET", "/items/1", {"If-Match": '"3-00000000"'}).status == 200
    assert ask("GET", "/items/1", {"If-Match": '"2-00000000"'}).status == 412


def test_a_condition_that_a_change_cannot_have_is_refused(ask: Any) -> None:
    assert ask("POST", "/items", {**JSON, "If-None-Match": "*"}, b'{"name":"a"}').status == 400


def form(*parts: bytes, end: bytes = b"--b--\r\n") -> bytes:
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + end


MULTIPART = {"Content-Type": 'multipart/form-data; boundary="b"'}
NOTE = b'Content-Disposition: form-data; name="note"\r\n\r\nhello'
FILE = (
    b'Content-Disposition: form-data; name="f"; filename="C:\\tmp\\a.png"\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n'
)


def test_the_first_file_of_a_form_is_the_upload(ask: Any) -> None:
    answer = ask("POST", "/files", MULTIPART, form(NOTE, FILE, FILE.replace(b"a.png", b"b.png")))
    assert answer.json == {"size": 6, "media": "image/png", "name": "a.png"}


def test_a_raw_body_is_an_upload_too(ask: Any) -> None:
    answer = ask("POST", "/files", {"Content-Type": "image/png"}, b"x" * 100_000)
    assert answer.json == {"size": 100_000, "media": "image/png", "name": None}


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (MULTIPART, form(NOTE), 400),
        (MULTIPART, form(FILE, end=b""), 400),
        (MULTIPART, b"not a form", 400),
        ({"Content-Type": "multipart/form-data"}, form(FILE), 415),
        ({"Content-Type": "multipart/form-data; boundary=" + "b" * 71}, form(FILE), 415),
        (MULTIPART, form(*[NOTE] * 65), 400),
    ],
)
def test_a_form_that_is_none(ask: Any, headers: dict[str, str], body: bytes, status: int) -> None:
    assert ask("POST", "/files", headers, body).status == status


ORIGIN = {"Origin": "https://shop.example"}


def test_pages_of_other_origins_get_nothing_unless_opened(ask: Any) -> None:
    answer = ask("GET", "/hello", ORIGIN)
    assert answer.status == 200
    assert not [name for name, _ in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    ("method", "target", "status"), [("GET", "/hello", 200), ("GET", "/nope", 404), ("PUT", "/hello", 405)]
)
def test_an_open_origin_may_read_every_answer(door: Any, method: str, target: str, status: int) -> None:
    client = door(cors=Cors(origins=("https://shop.example",), credentials=True))
    answer = client.ask(method, target, ORIGIN)
    assert (answer.status, answer["Access-Control-Allow-Origin"]) == (status, "https://shop.example")
    assert answer["Access-Control-Allow-Credentials"] == "true"
    assert "ETag" in answer["Access-Control-Expose-Headers"]
    assert "Origin" in answer.all("Vary")
    other = client.ask(method, target, {"Origin": "https://shop.example.evil.example"})
    assert (other.status, "Origin" in other.all("Vary")) == (status, True)
    assert "Access-Control-Allow-Origin" not in other
    assert "Origin" in client.ask(method, target).all("Vary")


def test_a_preflight(door: Any, sample: Sample) -> None:
    client = door(cors=Cors(origins=("https://shop.example",), headers=("X-Extra",), max_age=60))
    asked = {**ORIGIN, "Access-Control-Request-Method": "PATCH"}
    answer = client.ask("OPTIONS", "/items/1", asked)
    assert (answer.status, answer["Access-Control-Max-Age"]) == (204, "60")
    assert "PATCH" in answer["Access-Control-Allow-Methods"]
    assert "X-Extra" in answer["Access-Control-Allow-Headers"]
    assert "Idempotency-Key" in answer["Access-Control-Allow-Headers"]
    refused = client.ask("OPTIONS", "/items/1", {**asked, "Origin": "https://other.example"})
    assert (refused.status, "Access-Control-Allow-Methods" in refused) == (204, False)
    assert not sample.calls


def test_any_origin_may_be_let_in_without_credentials(door: Any) -> None:
    answer = door(cors=Cors(origins=("*",))).ask("GET", "/hello", ORIGIN)
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer
    assert "Origin" not in answer.all("Vary")
