"""Requests that say no more than was meant, and redirects that carry nothing over."""

from __future__ import annotations

import pickle
from collections.abc import Mapping

import pytest

from mainstay.ports.http import AddressRefused, HttpAnswer, HttpFailed, RequestRefused
from mainstay.ports.http_exchange import MAX_HEADER, MAX_HEADERS, HttpRequest, exchange, request_of

FIRST = "https://a.example/x"


def answered(status: int, location: str | None = None) -> HttpAnswer:
    return HttpAnswer(status=status, headers={} if location is None else {"location": location})


async def followed(
    *answers: HttpAnswer, redirects: int = 5, method: str = "GET", body: bytes = b"", headers: Mapping[str, str] = {}
) -> tuple[HttpAnswer, list[HttpRequest]]:
    sent: list[HttpRequest] = []
    left = iter(answers)

    async def send(request: HttpRequest) -> HttpAnswer:
        sent.append(request)
        return next(left)

    return await exchange(send, request_of(method, FIRST, headers, body), redirects), sent


@pytest.mark.parametrize("method", ["", "GET ", "G\r\nET", "GET / HTTP/1.1", "CONNECT", "GÉT", "X" * 101])
def test_a_method_is_a_token(method: str) -> None:
    with pytest.raises(RequestRefused, match="method"):
        request_of(method, FIRST, None, b"")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "x"),
        ("a b", "x"),
        ("a:", "x"),
        ("a\r\nb", "x"),
        ("x", "a\r\nb: c"),
        ("x", "a\nb"),
        ("x", "a\0b"),
        ("x", "a\n"),
        ("x", " a"),
        ("x", "a "),
        ("x", "é"),
        ("x", "a" * (MAX_HEADER + 1)),
        ("Host", "b.example"),
        ("Content-Length", "3"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Upgrade", "h2c"),
        ("Expect", "100-continue"),
        ("Proxy-Authorization", "Basic x"),
        ("Accept-Encoding", "br"),
    ],
)
def test_a_header_says_nothing_but_itself(name: str, value: str) -> None:
    with pytest.raises(RequestRefused, match="header"):
        request_of("GET", FIRST, {name: value}, b"")


def test_headers_are_bounded_and_said_once() -> None:
    with pytest.raises(RequestRefused, match="more than"):
        request_of("GET", FIRST, {f"x-{n}": "" for n in range(MAX_HEADERS + 1)}, b"")
    with pytest.raises(RequestRefused, match="twice"):
        request_of("GET", FIRST, {"X-A": "1", "x-a": "2"}, b"")
    request = request_of("GET", FIRST, {"X-A": "a b\tc", "X-Empty": ""}, b"")
    assert request.headers == {"x-a": "a b\tc", "x-empty": ""}


def test_a_request_shows_neither_headers_nor_query() -> None:
    request = request_of("POST", f"{FIRST}?key=hidden", {"Authorization": "hidden"}, b"hidden")
    assert repr(request) == "<HttpRequest POST https://a.example:443>"


async def test_a_redirect_is_an_answer_unless_it_is_to_be_followed() -> None:
    answer, sent = await followed(answered(302, "/y"), redirects=0)
    assert (answer.status, len(sent)) == (302, 1)
    answer, sent = await followed(answered(302, "/y"), answered(200))
    assert (answer.status, sent[1].target.url) == (200, "https://a.example/y")


async def test_only_so_many_redirects_are_followed() -> None:
    with pytest.raises(HttpFailed, match="more than 2"):
        await followed(*(answered(302, "/y") for _ in range(3)), redirects=2)
    answer, sent = await followed(answered(302, "/y"), answered(302, "/z"), answered(404), redirects=2)
    assert (answer.status, len(sent)) == (404, 3)


async def test_what_only_looks_like_a_redirect_is_an_answer() -> None:
    for answer in (answered(304, "/y"), answered(300, "/y"), answered(302)):
        assert (await followed(answer, redirects=1))[0] == answer
    assert (await followed(answered(302, "/y"), answered(302), redirects=1))[0].status == 302


@pytest.mark.parametrize(
    ("status", "method", "then", "carries"),
    [
        (301, "POST", "GET", False),
        (302, "POST", "GET", False),
        (303, "POST", "GET", False),
        (303, "PUT", "GET", False),
        (303, "HEAD", "HEAD", True),
        (301, "PUT", "PUT", True),
        (307, "POST", "POST", True),
        (308, "POST", "POST", True),
    ],
)
async def test_the_method_after_a_redirect(status: int, method: str, then: str, carries: bool) -> None:
    headers = {"Content-Type": "text/plain", "Authorization": "Bearer x"}
    _, sent = await followed(answered(status, "/y"), answered(200), method=method, body=b"b", headers=headers)
    assert sent[1].method == then
    assert (sent[1].body, "content-type" in sent[1].headers) == ((b"b", True) if carries else (b"", False))
    assert sent[1].headers["authorization"] == "Bearer x"


@pytest.mark.parametrize("location", ["https://b.example/", "https://a.example:444/", "//b.example"])
async def test_credentials_are_not_carried_to_another_origin(location: str) -> None:
    headers = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Api-Key": "x", "Accept": "*/*", "X-Request-ID": "r"}
    _, sent = await followed(answered(302, location), answered(200), headers=headers)
    assert sent[1].headers == {"accept": "*/*", "x-request-id": "r"}


async def test_credentials_do_not_come_back_with_the_way_back() -> None:
    _, sent = await followed(
        answered(302, "https://b.example/"), answered(302, FIRST), answered(200), headers={"Authorization": "Bearer x"}
    )
    assert sent[2].target.url == FIRST
    assert sent[2].headers == {}


async def test_a_body_is_not_carried_to_another_origin() -> None:
    with pytest.raises(HttpFailed, match="another origin"):
        await followed(answered(307, "https://b.example/"), answered(200), method="POST", body=b"secret")


async def test_a_redirect_never_leaves_https() -> None:
    with pytest.raises(AddressRefused, match="from https to http"):
        await followed(answered(302, "http://a.example/"), answered(200))


def test_the_reason_is_not_for_the_caller() -> None:
    failed = AddressRefused("it is 10.0.0.7")
    assert "10.0.0.7" not in failed.detail
    assert failed.members == {}
    assert "10.0.0.7" in str(failed)
    assert str(HttpFailed()) == "No answer of the other side could be had"
    assert pickle.loads(pickle.dumps(failed)).code == "address_refused"
