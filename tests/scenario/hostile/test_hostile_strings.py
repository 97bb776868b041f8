"""The naughty strings in every position that takes text: they come back exactly, or are refused by name.

They are not part of the repository: they are looked for beside it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hostile_service import fine_or_refused, refused
from shop_served import Client, Person

FILE = Path(__file__).parents[4] / "shared" / "suites" / "strings" / "blns.json"
pytestmark = pytest.mark.skipif(not FILE.exists(), reason="the naughty strings are not part of the repository")

UNICODE = ["\u202e", "\ufeff", "\U0010ffff", "\u00e9", "e\u0301", "\u017f"]
OWN = ["\x00", "a\x00b", "%00", "../..", "a" * 4000, " ", "\t", *UNICODE]
ANN = Person(2, "customer")


@pytest.fixture(scope="module")
def strings() -> list[str]:
    found: list[str] = json.loads(FILE.read_text())
    assert len(found) > 400
    return [*found, *OWN]


def made_of(client: Client, text: str, *, escaped: bool) -> Any:
    body = json.dumps({"text": text}, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    return client.ask("POST", "/notes", body=body)


def sent(text: str) -> str:
    """Return text as a client puts it into a header field: its bytes in UTF-8, line breaks left out."""
    return re.sub(r"[\r\n\0]", "", text).encode("utf-8", "surrogatepass").decode("latin-1")


@pytest.mark.parametrize("escaped", [True, False])
def test_in_a_body_it_is_kept_exactly(client: Client, strings: list[str], escaped: bool) -> None:
    for text in strings:
        answer = made_of(client, text, escaped=escaped)
        if "\x00" in text:
            assert refused(answer, 422) == "invalid"
            continue
        assert (answer.status, answer.json["text"]) == (201, text)
        read = client.get(answer["location"])
        assert read.json["text"] == text
        changed = client.ask("PATCH", answer["location"], body={"text": "x", "data": {text: [text]}})
        assert changed.json["data"] == {text: [text]}
        assert client.ask("DELETE", answer["location"]).status == 204


def test_as_a_filter_it_finds_itself(wired: Client, strings: list[str]) -> None:
    for text in dict.fromkeys(strings):
        answer = made_of(wired, text, escaped=True)
        if answer.status != 201:
            continue
        row = answer.json["id"]
        wanted = [
            "text",
            "text[contains]",
            "text[starts]",
            "text[gte]",
            "text[lte]",
            *(["text[in]"] * ("," not in text)),
        ]
        for name in wanted:
            found = wired.get(f"/searched?{urlencode({name: text, 'id': row, 'count': 'exact'})}")
            assert found.status == 200, (name, text, found.body)
            assert [one["text"] for one in found.json["items"]] == [text], (name, text)
            assert found.json["count"] == 1
        other = wired.get(f"/searched?{urlencode({'text[ne]': text, 'id': row})}")
        assert other.json["items"] == []
        assert wired.ask("DELETE", answer["location"]).status == 204


def test_in_the_path_and_the_query_it_is_read_exactly(client: Client, strings: list[str]) -> None:
    for text in strings:
        for target in (f"/echo/{quote(text, safe='')}", f"/echo?value={quote(text, safe='')}"):
            answer = client.get(target)
            if "\x00" in text:
                refused(answer, 400, 422)
            elif text == "" and "?" not in target:
                refused(answer, 404)
            else:
                assert (answer.status, answer.json["value"]) == (200, text), target


def test_as_an_id_it_is_no_row(client: Client, strings: list[str]) -> None:
    for text in filter(None, strings):
        for method in ("GET", "PATCH", "DELETE"):
            body = b"{}" if method == "PATCH" else None
            refused(client.ask(method, f"/notes/{quote(text, safe='')}", body=body), 404)


def test_in_a_header_it_is_read_or_refused(client: Client, strings: list[str]) -> None:
    for text in strings:
        told = sent(text)
        answer = client.get("/echo", X_Text=told)
        if fine_or_refused(answer):
            assert answer.json["value"] in {told, told.strip(" \t")}
        else:
            refused(answer, 400, 431)


FITTING = {"limit": r"0*([1-9]\d?|1\d\d|200)", "version": r"-?\d+"}
PARAMETERS = ["sort", "fields", "include", "limit", "count", "cursor", "created_at", "version", "id", "text[x]"]


@pytest.mark.parametrize("name", PARAMETERS)
def test_in_a_parameter_of_another_type_it_is_refused(wired: Client, strings: list[str], name: str) -> None:
    for text in strings:
        answer = wired.get(f"/searched?{urlencode({name: text})}")
        known = name in FITTING and re.fullmatch(FITTING[name], text)
        if not known:
            assert refused(answer, 400) in {"invalid_parameter", "unknown_parameter", "cursor_invalid"}, text


def test_as_the_name_of_a_parameter_it_is_unknown(wired: Client, strings: list[str]) -> None:
    for text in filter(None, strings):
        answer = wired.get(f"/searched?{quote(text, safe='')}=1")
        assert refused(answer, 400) == "unknown_parameter"


HEADERS = ["Authorization", "If-Match", "If-None-Match", "Accept", "X-Request-ID", "traceparent", "Origin", "Cookie"]


@pytest.mark.parametrize("name", [*HEADERS, "Forwarded", "X-Forwarded-For", "User-Agent", "Range", "Expect"])
def test_in_a_header_of_the_protocol_it_troubles_nobody(wired: Client, strings: list[str], name: str) -> None:
    for text in strings:
        answer = wired.get("/notes/0199c0de-0000-7000-8000-000000000001", **{name.replace("-", "_"): sent(text)})
        refused(answer)
        for field, value in answer.headers:
            assert "\r" not in value
            assert "\n" not in value, field
        if name == "Authorization":
            assert answer.status in (400, 401)


def test_as_a_bearer_token_it_is_refused(buyer: Client, strings: list[str]) -> None:
    for text in strings:
        refused(buyer.get("/orders", Authorization=f"Bearer {sent(text)}"), 400, 401)


def test_as_an_idempotency_key_it_is_kept_or_refused(client: Client, strings: list[str]) -> None:
    for number, text in enumerate(dict.fromkeys(map(sent, strings))):
        headers = {"Idempotency-Key": text}
        answer = client.ask("POST", "/notes", body={"text": f"{number}"}, headers=headers)
        if not fine_or_refused(answer):
            assert answer.status == 400
            continue
        again = client.ask("POST", "/notes", body={"text": f"{number}"}, headers=headers)
        assert (again.body, again["idempotency-replayed"]) == (answer.body, "true")
        other = client.ask("POST", "/notes", body={"text": f"{number} else"}, headers=headers)
        assert refused(other, 422) == "idempotency_key_reused"


def test_in_a_media_type_it_is_refused(wired: Client, strings: list[str]) -> None:
    for text in strings:
        answer = wired.ask("POST", "/notes", body=b'{"text":"x"}', headers={"Content-Type": sent(text)})
        refused(answer, 400, 415)


def test_in_an_order_of_the_shop_it_is_a_product_that_is_not_there(buyer: Client, strings: list[str]) -> None:
    for text in strings:
        answer = buyer.ask("POST", "/orders", ANN, {"lines": [{"sku": text}]})
        assert refused(answer, 404, 422) in {"not_found", "invalid"}
