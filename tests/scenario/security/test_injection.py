"""Injection at the served door: headers, paths, files, objects and every parameter that a statement is made with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from http_clients import Answered
from mysql_databases import drop_database
from postgres_schemas import drop_schema
from reflecting_service import SECRET, hidden_file, module
from shop_served import Client, Running, settings_on

from mainstay import Service

SPLITS = [
    "a\r\nSet-Cookie: stolen=1",
    "a\nSet-Cookie: stolen=1",
    "a\rSet-Cookie: stolen=1",
    "a\r\n\r\n<script>alert(1)</script>",
    "a\u560d\u560aSet-Cookie: stolen=1",  # whose low bytes are CR LF
    "a\u2028Set-Cookie: stolen=1",
    "a\x00Set-Cookie: stolen=1",
    'a"; filename="evil.html',
]
CLIMBS = [
    "../hidden.txt",
    "..%2fhidden.txt",
    "..%252fhidden.txt",
    "%2e%2e/hidden.txt",
    "%2e%2e%2fhidden.txt",
    "....//hidden.txt",
    "..\\hidden.txt",
    "..%5chidden.txt",
    "..%c0%afhidden.txt",
    "..%ef%bc%8fhidden.txt",
    "%uff0e%uff0e/hidden.txt",
    "/etc/passwd",
    "//etc/passwd",
    "file:///etc/passwd",
    "a/../../hidden.txt",
    "./hidden.txt",
    "hidden.txt%00.png",
    "~tmp",
    "a~/b",
    ".",
    "..",
    "",
]
STATEMENTS = [
    "' OR '1'='1",
    "' OR 1=1 --",
    '" OR ""="',
    "') OR ('1'='1",
    "'; DROP TABLE notes; --",
    "' UNION SELECT name FROM sqlite_master --",
    "' UNION ALL SELECT NULL, version() --",
    "1; SELECT pg_sleep(5)",
    "' AND SLEEP(5) #",
    "' || (SELECT 1) || '",
    "admin'/*",
    "\\' OR 1=1 --",
    "%' OR text LIKE '%",
    "_",
    "%",
    "%%",
    "\\",
    "\\%",
    "[a-z]",
    "$1",
    ":text",
    "%(text)s",
    "?",
    "{0}",
    "{{7*7}}",
    "${7*7}",
    "<%= 7*7 %>",
    "#{7*7}",
    "\u02bc OR 1=1",
    "\uff07 OR 1=1 --",
    "0x27204f522031",
    "NULL",
    "CHAR(39)",
    '{"$gt": ""}',
    '{"$where": "sleep(5000)"}',
    "[$ne]=1",
    "* -a",
    'NEAR("a" "b")',
    "text:a OR b",
    '"',
]
MAX_SEARCH = 100  # characters that may be searched for
NAUGHTY = Path(__file__).parents[4] / "shared" / "suites" / "strings" / "blns.json"


@pytest.fixture(scope="module", params=["sqlite", "memory", "postgresql", "mysql"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("reflecting")
    hidden_file(folder)
    flags = {"auth.issuer": "r", "auth.audience": ["r"], "blobs.url": "file:///objects"}
    settings = settings_on(request.param, folder, folder, **flags)
    served = Running(settings, Service("reflecting", modules=[module]))
    yield served
    served.stop()
    if request.param == "postgresql":
        drop_schema(folder)
    if request.param == "mysql":
        drop_database(folder)
    assert served.troubles.seen == []


@pytest.fixture(scope="module")
def client(running: Running) -> Client:
    return running.socket_client()


@pytest.fixture(scope="module")
def notes(client: Client) -> list[str]:
    """Three notes, so that what finds more than it asks for is seen."""
    made = [client.ask("POST", "/notes", body={"text": text, "number": 1}) for text in ("alpha", "beta", "gamma")]
    assert [one.status for one in made] == [201] * 3
    return [one.json["id"] for one in made]


def whole(answer: Answered) -> None:
    """Check that nothing was added to the head of an answer, and that no value of it has what ends a line."""
    assert "set-cookie" not in {name.lower() for name, _ in answer.headers}
    assert all(value.isprintable() for _, value in answer.headers), answer.headers


@pytest.mark.parametrize("text", SPLITS)
def test_no_value_splits_a_head(client: Client, text: str) -> None:
    said = text.encode("utf-8").decode("latin-1")
    raw = "".join(c for c in said if c not in "\r\n\0")
    for answer in (
        client.get("/notes", X_Request_ID=raw),
        client.get(f"/notes?{urlencode({'text': text, 'limit': 1})}"),
        client.get(f"/files?{urlencode({'name': text})}"),
        client.get(f"/{quote(text, safe='')}"),
        client.get(f"/notes/{quote(text, safe='')}"),
        client.get("/notes", Origin=raw),
        client.get("/notes", Accept=raw),
        client.get("/notes", Range=raw),
        client.ask("POST", f"/notes?{quote(text, safe='')}=1", body={"text": "x"}),
        client.ask("POST", "/notes", body={text: "x"}),
        client.ask("POST", "/notes", body={"text": "x"}, headers={"Idempotency-Key": raw}),
    ):
        whole(answer)
        assert raw not in answer["x-request-id"]
        if answer.status >= 400:
            assert answer["content-type"] == "application/problem+json"


@pytest.mark.parametrize("text", SPLITS)
def test_the_link_to_the_next_page_holds_one_target(client: Client, notes: list[str], text: str) -> None:
    answer = client.get(f"/notes?{urlencode({'text[ne]': text, 'limit': 1})}")
    if "\x00" in text:
        assert answer.status == 400
        return
    whole(answer)
    assert answer["link"].count("<") == answer["link"].count(">") == 1
    following = client.get(answer["link"].partition(">")[0].removeprefix("<"))
    assert following.status == 200


@pytest.mark.parametrize("name", [*SPLITS, "..", "../../etc/passwd", "C:\\boot.ini", "a/b", "\u202egpj.exe", ""])
def test_a_download_has_one_name(client: Client, name: str) -> None:
    answer = client.get(f"/files?{urlencode({'name': name})}")
    if "\x00" in name:
        assert answer.status == 400
        return
    assert answer.status == 200
    whole(answer)
    kind, _, rest = answer["content-disposition"].partition("; ")
    inside = rest.removeprefix('filename="').partition('"')[0]
    assert kind == "attachment"
    assert not set(inside) & set('"\\\r\n')
    assert answer["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("key", CLIMBS)
def test_no_key_leads_out_of_the_objects(client: Client, key: str) -> None:
    targets = [f"/objects?{urlencode({'key': key})}", f"/objects?key={key}", f"/objects/{quote(key, safe='')}"]
    targets += [f"/objects/{key}"] if key.isascii() and "\\" not in key else []
    for target in targets:
        answer = client.get(target)
        assert 400 <= answer.status < 500, target
        assert SECRET not in answer.body.decode()
        assert "root:" not in answer.body.decode()


@pytest.mark.parametrize(
    "path", ["/notes/../notes", "/notes/%2e%2e/notes", "//notes", "/notes//", "/./notes", "/notes;a=b"]
)
def test_a_path_has_one_reading(client: Client, path: str) -> None:
    assert client.get(path).status == 404


NAMES = ["text", "text[ne]", "text[in]", "text[gt]", "text[lte]", "text[contains]", "text[starts]", "search"]
TYPED = ["number", "number[gte]", "id", "created_at", "sort", "fields", "include", "limit", "cursor", "count", "data"]


def statements(name: str) -> list[str]:
    """Return what a filter is given; the naughty strings are not part of the repository."""
    found: list[str] = (
        json.loads(NAUGHTY.read_text()) if NAUGHTY.exists() and name in ("text", "text[contains]", "search") else []
    )
    return [*STATEMENTS, *(one for one in found if one and "\x00" not in one and len(one) <= MAX_SEARCH)]


@pytest.mark.parametrize("name", NAMES)
def test_a_value_of_a_filter_is_a_value(client: Client, notes: list[str], name: str) -> None:
    for text in statements(name):
        answer = client.get(f"/search?{urlencode({name: text, 'count': 'exact', 'number': '1'})}")
        assert answer.status == 200, (name, text, answer.body)
        found = {one["text"] for one in answer.json["items"]}
        assert answer.json["count"] == len(found)
        if name in ("text", "text[in]", "text[starts]", "text[contains]"):
            parts = text.split(",") if name == "text[in]" else [text]
            plain = {
                "text": lambda held, part: held == part,
                "text[in]": lambda held, part: held == part,
                "text[starts]": lambda held, part: held.startswith(part),
                "text[contains]": lambda held, part: part in held,
            }
            wanted = {held for held in ("alpha", "beta", "gamma") if any(plain[name](held, part) for part in parts)}
            assert found == wanted, (name, text)


@pytest.mark.parametrize("name", TYPED)
def test_a_value_of_another_type_never_reaches_a_statement(client: Client, notes: list[str], name: str) -> None:
    for text in STATEMENTS:
        answer = client.get(f"/search?{urlencode({name: text})}")
        assert answer.status == 400, (name, text, answer.body)
        assert answer.json["code"] in {"invalid_parameter", "unknown_parameter", "cursor_invalid"}


@pytest.mark.parametrize("text", STATEMENTS)
def test_no_name_of_a_parameter_is_a_column_or_an_operator(client: Client, notes: list[str], text: str) -> None:
    for name in (text, f"text[{text}]", f"text{text}", f"{text}[eq]", "text[$ne]", "text[$regex]", "text.x", "$where"):
        assert client.get(f"/search?{urlencode({name: 'a'})}").status == 400


@pytest.mark.parametrize("value", [{"$gt": ""}, {"$ne": None}, ["a"], {"$where": "1"}, True, 1, None])
def test_an_object_is_no_text(client: Client, value: Any) -> None:
    assert client.ask("POST", "/notes", body={"text": value}).status == 422


@pytest.mark.parametrize("text", STATEMENTS)
def test_what_is_stored_is_what_was_sent(client: Client, notes: list[str], text: str) -> None:
    made = client.ask("POST", "/notes", body={"text": text, "data": {"k": {text: text}}})
    assert (made.status, made.json["text"], made.json["data"]) == (201, text, {"k": {text: text}})
    again = client.get(made["location"])
    assert (again.json["text"], again.json["data"]) == (text, {"k": {text: text}})
    changed = client.ask("PATCH", made["location"], body={"data": {"k": {text: "x"}}})
    assert (changed.status, changed.json["data"]) == (200, {"k": {text: "x"}})
    assert client.ask("DELETE", made["location"]).status == 204
    left = client.get("/search?count=exact&number=1")
    assert left.json["count"] == len(notes)
