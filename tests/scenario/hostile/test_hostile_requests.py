"""Requests that nobody means well by: each has one clear answer, none reaches a use case, none hangs."""

from __future__ import annotations

import pytest
from hostile_service import refused
from shop_served import PATIENCE, Client, Person, Running

BOSS = Person(1, "manager", "support")
ANN = Person(2, "customer")


def deep(depth: int, kind: str) -> bytes:
    """Return an object whose nesting is ``depth`` deep."""
    below = depth - 1
    inner = b"[" * below + b"]" * below if kind == "arrays" else b'{"a":' * below + b"1" + b"}" * below
    return b'{"value":' + inner + b"}"


BODIES: list[tuple[str, bytes, int, str]] = [
    ("a member twice", b'{"value":1,"value":1}', 400, "duplicate_key"),
    ("a member twice, once escaped", b'{"value":1,"v\\u0061lue":2}', 400, "duplicate_key"),
    ("a member twice, far inside", b'{"value":[{"a":{"b":1,"b":2}}]}', 400, "duplicate_key"),
    ("not a number", b'{"value":NaN}', 400, "json_syntax"),
    ("infinity", b'{"value":Infinity}', 400, "json_syntax"),
    ("minus infinity", b'{"value":-Infinity}', 400, "json_syntax"),
    ("a float too large", b'{"value":1e999}', 422, "invalid"),
    ("an integer of 64 bits and a sign", b'{"value":9223372036854775808}', 422, "invalid"),
    ("an integer too small", b'{"value":-9223372036854775809}', 422, "invalid"),
    ("an integer of 65 bits", b'{"value":18446744073709551616}', 422, "invalid"),
    ("an integer of a million digits", b'{"value":' + b"9" * 1_000_000 + b"}", 422, "invalid"),
    ("65 levels of arrays", deep(65, "arrays"), 400, "json_too_deep"),
    ("65 levels of objects", deep(65, "objects"), 400, "json_too_deep"),
    ("100,000 levels of arrays", deep(100_000, "arrays"), 400, "json_too_deep"),
    ("100,000 levels of objects", deep(100_000, "objects"), 400, "json_too_deep"),
    ("100,000 levels that never end", b'{"value":' + b"[" * 100_000, 400, "json_too_deep"),
    ("10 MB", b'{"value":"' + b"a" * 10_000_000 + b'"}', 413, "too_large"),
    ("nothing", b"", 400, "body_missing"),
    ("spaces", b" \n\t\r", 400, "body_missing"),
    ("half a body", b'{"value":', 400, "json_syntax"),
    ("two values", b'{"value":1}{"value":2}', 400, "json_syntax"),
    ("something behind it", b'{"value":1};', 400, "json_syntax"),
    ("a comment", b'{"value":1/**/}', 400, "json_syntax"),
    ("a comma too many", b'{"value":1,}', 400, "json_syntax"),
    ("single quotes", b"{'value':1}", 400, "json_syntax"),
    ("another encoding of a letter", b'{"value":"\xe9"}', 400, "json_encoding"),
    ("an overlong slash", b'{"value":"\xc0\xaf"}', 400, "json_encoding"),
    ("a surrogate in UTF-8", b'{"value":"\xed\xa0\x80"}', 400, "json_encoding"),
    ("a lone surrogate, escaped", b'{"value":"\\ud800"}', 400, "json_encoding"),
    ("a surrogate pair the wrong way round", b'{"value":"\\udc00\\ud800"}', 400, "json_encoding"),
    ("a byte order mark", b'\xef\xbb\xbf{"value":1}', 400, "json_encoding"),
    ("UTF-16", '{"value":1}'.encode("utf-16"), 400, "json_encoding"),
    ("U+0000 as it is", b'{"value":"\x00"}', 400, "json_encoding"),
    ("U+0000 escaped", b'{"value":"\\u0000"}', 422, "invalid"),
    ("a key with U+0000", b'{"value":{"\\u0000":1}}', 422, "invalid"),
    ("an array", b"[]", 422, "invalid"),
    ("a string", b'"value"', 422, "invalid"),
    ("null", b"null", 422, "invalid"),
    ("an unknown member", b'{"value":1,"__proto__":{"admin":true}}', 422, "invalid"),
    ("form data", b"value=1", 400, "json_syntax"),
    ("XML", b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><value>&b;</value>", 400, "json_syntax"),
    ("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00", 400, ""),
]


@pytest.mark.parametrize(("body", "status", "code"), [b[1:] for b in BODIES], ids=[b[0] for b in BODIES])
def test_a_body(client: Client, body: bytes, status: int, code: str) -> None:
    answer = client.ask("POST", "/anything", body=body)
    told = refused(answer, status)
    assert told == code or not code


def test_a_body_of_the_last_depth_and_size_is_taken(client: Client) -> None:
    assert client.ask("POST", "/anything", body=deep(64, "arrays")).status == 200
    size = 1024 * 1024 - len('{"value":""}')
    assert client.ask("POST", "/anything", body={"value": "a" * size}).status in (200, 413)
    assert client.ask("POST", "/anything", body={"value": "a" * (size - 10)}).status == 200


MEDIA = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "",
    "x",
]
MEDIA += ["application/json; charset=utf-16", "application/json, text/plain", "application/jsonp", "*/*", "x"]


@pytest.mark.parametrize("media", MEDIA)
def test_another_media_type(client: Client, media: str) -> None:
    answer = client.ask("POST", "/anything", body=b'{"value":1}', headers={"Content-Type": media})
    assert refused(answer, 400, 415) in {"unsupported_media", "header_malformed"}


def test_no_media_type(client: Client) -> None:
    answer = client._send("POST", "/anything", {"Content-Length": "11"}, b'{"value":1}')
    assert refused(answer, 415) == "unsupported_media"
    answer = client.ask(
        "POST", "/anything", body=b'{"value":1}', headers={"Content-Type": 'application/JSON;charset="UTF-8"'}
    )
    assert answer.status == 200


def test_a_compressed_body_is_not_taken_for_a_plain_one(client: Client) -> None:
    answer = client.ask("POST", "/anything", body=b"\x1f\x8b\x08\x00", headers={"Content-Encoding": "gzip"})
    refused(answer, 400, 415)


HEADS = [
    ("a header of 100 kB", "/echo", {"X-Text": "a" * 100_000}, (431,)),
    ("a thousand headers", "/echo", {f"X-{number}": "a" for number in range(1000)}, (431,)),
    ("a query of 100 kB", "/echo?value=" + "a" * 100_000, {}, (414, 431)),
    ("a path of 100 kB", "/echo/" + "a" * 100_000, {}, (414, 431)),
    ("10,000 parameters", "/searched?" + "&".join("a=1" for _ in range(10_000)), {}, (414, 431)),
    ("1,000 parameters", "/searched?" + "&".join("id=1" for _ in range(1_000)), {}, (400,)),
    ("1,000 names", "/searched?" + "&".join(f"a{n}=1" for n in range(1_000)), {}, (400,)),
    ("a name of 8 kB", "/searched?" + "a" * 8000 + "=1", {}, (400,)),
    ("500 members", "/searched?text[in]=" + ",".join("a" * 500), {}, (400,)),
    ("100 keys of an order", "/searched?sort=" + ",".join(["text"] * 100), {}, (400,)),
    ("a page too large", "/searched?limit=201", {}, (400,)),
    ("a page too small", "/searched?limit=0", {}, (400,)),
    ("two limits", "/searched?limit=1&limit=2", {}, (400,)),
    ("two values", "/searched?text=a&text=b", {}, (400,)),
    ("an operator that is none", "/searched?text[regex]=.*", {}, (400,)),
    ("an operator of code", "/searched?text[$where]=1", {}, (400,)),
    ("brackets that never close", "/searched?text[gte=1", {}, (400,)),
    ("brackets in brackets", "/searched?text[gte][lte]=1", {}, (400,)),
    ("a field of Python", "/searched?__class__=1", {}, (400,)),
    ("an order by a field of Python", "/searched?sort=__class__", {}, (400,)),
    ("an order of SQL", "/searched?sort=text;drop%20table%20note", {}, (400,)),
    ("a relation of Python", "/searched?include=__dict__", {}, (400,)),
    ("a filter on a document", "/searched?data=1", {}, (400,)),
    ("half an escape", "/echo?value=%", {}, (400,)),
    ("an escape that is none", "/echo?value=%zz", {}, (400,)),
    ("an overlong dot", "/echo?value=%c0%ae", {}, (400,)),
    ("a byte that is no UTF-8", "/echo?value=%ff", {}, (400,)),
    ("a null", "/echo?value=%00", {}, (400,)),
    ("a surrogate", "/echo?value=%ed%a0%80", {}, (400,)),
    ("half an escape in the path", "/echo/%", {}, (400,)),
    ("an escape that is none in the path", "/echo/%u002e", {}, (400,)),
    ("an overlong dot in the path", "/echo/%c0%ae%c0%ae", {}, (400,)),
    ("a byte that is no UTF-8 in the path", "/echo/%ff", {}, (400,)),
    ("a null in the path", "/echo/%00", {}, (400, 422)),
    ("a null behind an id", "/notes/0199c0de-0000-7000-8000-000000000001%00", {}, (400, 404)),
    ("dots", "/notes/../notes", {}, (404,)),
    ("dots, escaped", "/notes/%2e%2e/notes", {}, (404,)),
    ("dots and a slash, escaped", "/%2e%2e%2fetc%2fpasswd", {}, (404,)),
    ("dots escaped twice", "/notes/%252e%252e/notes", {}, (404,)),
    ("a slash, escaped", "/notes%2f0199c0de-0000-7000-8000-000000000001", {}, (404,)),
    ("a backslash", "/notes\\..\\notes", {}, (400, 404)),
    ("two slashes", "//notes", {}, (404,)),
    ("a slash at the end", "/notes/", {}, (404,)),
    ("a dot at the end", "/notes/.", {}, (404,)),
    ("a parameter of a path", "/notes;a=b", {}, (404,)),
    ("another case", "/NOTES", {}, (404,)),
    ("an id in braces", "/notes/%7B0199c0de-0000-7000-8000-000000000001%7D", {}, (404,)),
    ("an id without hyphens", "/notes/0199c0de000070008000000000000001", {}, (404,)),
    ("an id of a URN", "/notes/urn:uuid:0199c0de-0000-7000-8000-000000000001", {}, (404,)),
    ("two dates", "/notes/0199c0de-0000-7000-8000-000000000001", {"If-Match": "x"}, (400, 404)),
]


@pytest.mark.parametrize(("target", "headers", "statuses"), [h[1:] for h in HEADS], ids=[h[0] for h in HEADS])
def test_a_head(client: Client, target: str, headers: dict[str, str], statuses: tuple[int, ...]) -> None:
    refused(client.ask("GET", target, headers=headers), *statuses)


def test_an_escaped_slash_and_dots_stay_in_their_segment(client: Client) -> None:
    for text, value in (
        ("a%2Fb", "a/b"),
        ("%2E%2E", ".."),
        ("..", ".."),
        ("a%3Fb", "a?b"),
        ("a+b", "a+b"),
        ("%25", "%"),
    ):
        assert client.get(f"/echo/{text}").json["value"] == value


def test_a_query_of_the_last_size_is_taken(client: Client) -> None:
    assert client.get("/echo?value=" + "a" * 8000).status == 200
    assert client.get("/searched?text[in]=" + ",".join("a" * 100)).status == 200


def test_a_body_where_none_belongs_changes_nothing(client: Client) -> None:
    answer = client.ask("GET", "/echo?value=a", body=b'{"value":"b"}')
    assert answer.status in (200, 400)
    assert answer.status == 400 or answer.json["value"] == "a"


def test_a_body_larger_than_it_says_is_no_second_request(hostile: Running) -> None:
    wire = hostile.wire()
    head = b"POST /anything HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n"
    wire.say(head + b'{"value":1}GET /smuggled')
    assert wire.hear().status == 200
    wire.say(b" HTTP/1.1\r\nHost: t\r\n\r\n")
    assert wire.hear().status == 404  # it is a request of its own, of the same client


@pytest.mark.parametrize(
    "lengths", ["Content-Length: 5\r\nContent-Length: 6", "Content-Length: -1", "Content-Length: +5"]
)
def test_a_length_that_is_none_ends_the_connection(hostile: Running, lengths: str) -> None:
    wire = hostile.wire()
    wire.say(f"POST /anything HTTP/1.1\r\nHost: t\r\n{lengths}\r\n\r\n12345".encode())
    answer = wire.hear()
    refused(answer, 400)
    assert answer["connection"] == "close"
    assert wire.rest() == b""


def test_a_body_of_length_and_chunks_is_refused(hostile: Running) -> None:
    wire = hostile.wire()
    both = "Content-Length: 5\r\nTransfer-Encoding: chunked"
    wire.say(
        f"POST /anything HTTP/1.1\r\nHost: t\r\n{both}\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nHost: t\r\n\r\n".encode()
    )
    refused(wire.hear(), 400)
    assert wire.rest() == b""


def test_a_refusal_does_not_wait_for_ten_megabytes(hostile: Running) -> None:
    wire = hostile.wire()
    wire.socket.settimeout(PATIENCE / 4)
    head = "POST /anything HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 10000000\r\n\r\n"
    wire.say(head.encode())
    refused(wire.hear(), 413)
