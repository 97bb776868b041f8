"""An HTTP client: what it sends, what it refuses to send, and how it follows redirects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, NamedTuple

import pytest
import pytest_asyncio

from mainstay.ports.http import AddressRefused, HttpAnswer, HttpClient, HttpFailed, RequestRefused

BAD_URLS = (
    *(
        "ftp://other.example/",
        "http://user@other.example/",
        "http://127.1/",
        "http://[::1%25x]/",
        "http://a b/",
        "/x",
        "",
    ),
    *("http://other.example:0/", "http://other.example./", "http://ö.example/", "file:///etc/passwd"),
)
BAD_HEADERS = (("a", "b\r\nc: d"), ("a b", "c"), ("host", "x"), ("content-length", "1"), ("a", "b\0"))


class Seen(NamedTuple):
    """A request as the other side saw it: path and query, header fields by lower-case name, body."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Answering = Callable[[Seen], HttpAnswer]


class OtherSide(NamedTuple):
    """A client under test, and the two origins (``http://host:port``) that answer it and keep what they saw."""

    client: HttpClient
    origin: str
    other: str
    seen: list[Seen]


class HttpConformance:
    """Every adapter of the port."""

    pytestmark: ClassVar[Any] = pytest.mark.asyncio

    def make(self, answering: Answering) -> AbstractAsyncContextManager[OtherSide]:
        """Return a client, and two origins that answer by ``answering``: a subclass says how."""
        raise TypeError(f"{type(self).__name__} does not say who answers (by {answering}): give it make")

    @pytest_asyncio.fixture
    async def side(self) -> AsyncIterator[OtherSide]:
        """A client and those whom it calls."""
        async with self.make(self._answer) as made:
            self._made = made
            yield made

    def _answer(self, seen: Seen) -> HttpAnswer:
        path, _, query = seen.path.partition("?")
        if path == "/to":
            return HttpAnswer(status=int(query[:3]), headers={"location": query[4:].replace("OTHER", self._made.other)})
        if path == "/long":
            return HttpAnswer(status=200, body=b"x" * int(query))
        if path == "/missing":
            return HttpAnswer(status=404, headers={"x-why": "gone"}, body=b"not here")
        return HttpAnswer(status=200, body=seen.method.encode() + b" " + seen.body)

    async def test_an_answer_comes_whatever_its_status(self, side: OtherSide) -> None:
        answer = await side.client.request("POST", f"{side.origin}/a?b=c", headers={"X-A": "1"}, body=b"body")
        assert (answer.status, answer.body) == (200, b"POST body")
        seen = side.seen[0]
        assert (seen.method, seen.path, seen.headers["x-a"], seen.body) == ("POST", "/a?b=c", "1", b"body")
        missing = await side.client.request("GET", f"{side.origin}/missing")
        assert (missing.status, missing.headers["x-why"], missing.body) == (404, "gone", b"not here")

    async def test_a_url_that_may_not_be_called_is_not_called(self, side: OtherSide) -> None:
        for url in BAD_URLS:
            with pytest.raises(AddressRefused):
                await side.client.request("GET", url)
        assert side.seen == []

    async def test_what_could_say_more_than_was_meant_is_not_sent(self, side: OtherSide) -> None:
        for name, value in BAD_HEADERS:
            with pytest.raises(RequestRefused):
                await side.client.request("GET", f"{side.origin}/", headers={name: value})
        for method in ("", "GET /", "CONNECT"):
            with pytest.raises(RequestRefused):
                await side.client.request(method, f"{side.origin}/")
        assert side.seen == []

    async def test_an_answer_is_bounded(self, side: OtherSide) -> None:
        assert len((await side.client.request("GET", f"{side.origin}/long?100", max_body=100)).body) == 100
        with pytest.raises(HttpFailed):
            await side.client.request("GET", f"{side.origin}/long?101", max_body=100)

    async def test_there_is_no_answer_without_time(self, side: OtherSide) -> None:
        with pytest.raises(HttpFailed):
            await side.client.request("GET", f"{side.origin}/", seconds=0)

    async def test_a_redirect_is_followed_where_it_is_asked_for(self, side: OtherSide) -> None:
        url = f"{side.origin}/to?302=/to?302=/end"
        assert (await side.client.request("GET", url)).status == 302
        assert (await side.client.request("GET", url, redirects=2)).body == b"GET "
        with pytest.raises(HttpFailed):
            await side.client.request("GET", url, redirects=1)

    async def test_a_redirect_carries_no_credentials_to_another_origin(self, side: OtherSide) -> None:
        headers = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Key": "k", "Accept": "text/plain"}
        await side.client.request("GET", f"{side.origin}/to?302=OTHER/x", headers=headers, redirects=1)
        assert side.seen[-1].path == "/x"
        assert {"authorization", "cookie", "x-key"}.isdisjoint(side.seen[-1].headers)
        assert side.seen[-1].headers["accept"] == "text/plain"
        await side.client.request("GET", f"{side.origin}/to?302=/x", headers=headers, redirects=1)
        assert side.seen[-1].headers["authorization"] == "Bearer x"

    async def test_a_redirect_carries_no_body_to_another_origin(self, side: OtherSide) -> None:
        with pytest.raises(HttpFailed):
            await side.client.request("POST", f"{side.origin}/to?307=OTHER/x", body=b"secret", redirects=1)
        assert len(side.seen) == 1
        answer = await side.client.request("POST", f"{side.origin}/to?303=OTHER/x", body=b"secret", redirects=1)
        assert answer.body == b"GET "

    async def test_a_redirect_leads_nowhere_that_may_not_be_called(self, side: OtherSide) -> None:
        for location in ("ftp://other.example/", "http://user@other.example/", "http://127.1/"):
            with pytest.raises(AddressRefused):
                await side.client.request("GET", f"{side.origin}/to?302={location}", redirects=3)
