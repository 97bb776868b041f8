"""What an issuer says of itself is believed only as far as it can be."""

from __future__ import annotations

from typing import Any

import pytest
from outgoing_http import LoopbackHttp
from outside_provider import AUTHORIZATION_SERVER, DISCOVERY, OutsideProvider, json_answer

from mainstay.adapters.oidc.metadata import (
    IssuerFaulty,
    documents_of,
    fetch_metadata,
    fresh_seconds,
    get_json,
    issuer_fault,
    url_fault,
)
from mainstay.ports.http import HttpAnswer, HttpFailed


@pytest.mark.parametrize(
    ("issuer", "first", "second"),
    [
        ("https://id.example", "", ""),
        ("https://id.example/", "", ""),
        ("https://id.example:8443/realms/shop", "/realms/shop", "/realms/shop"),
        ("https://id.example/realms/shop/", "/realms/shop", "/realms/shop"),
    ],
)
def test_documents_are_looked_for_in_two_places(issuer: str, first: str, second: str) -> None:
    base = issuer[: issuer.index("/", 8)] if "/" in issuer[8:] else issuer
    assert documents_of(issuer) == (
        f"{base}{first}/.well-known/openid-configuration",
        f"{base}/.well-known/oauth-authorization-server{second}",
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example",
        "http://192.0.2.1",
        "ftp://127.0.0.1",
        "https://",
        "https:///path",
        "id.example",
        "https://user@id.example",
        "https://user:word@id.example",
        "https://id.example#",
        "https://id.example/#part",
        "https://id.example\\@evil.example",
        "https://id.example /",
        "https://id.example\n",
        "https://ïd.example",
        "https://id.example:port",
        "https://[::1",
        "https://id.example?tenant=1",
        "",
    ],
)
def test_a_url_that_names_no_issuer_is_refused(url: str) -> None:
    assert issuer_fault(url, loopback=True) is not None


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:99/x", "http://127.8.8.8"])
def test_plain_http_is_for_this_machine_where_that_is_allowed(url: str) -> None:
    assert issuer_fault(url, loopback=True) is None
    assert issuer_fault(url, loopback=False) == "it is not https"


def test_the_places_of_an_issuer_may_have_queries() -> None:
    assert url_fault("https://id.example/keys?v=2", loopback=False) is None


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({}, 3600),
        ({"cache-control": "public"}, 3600),
        ({"cache-control": "max-age=600"}, 600),
        ({"cache-control": "public, MAX-AGE=600, must-revalidate"}, 600),
        ({"cache-control": "s-max-age=5,max-age=600"}, 600),
        ({"cache-control": "max-age=600", "age": "100"}, 500),
        ({"cache-control": "max-age=600", "age": "later"}, 600),
        ({"cache-control": "max-age=600", "age": "9" * 30}, 600),
        ({"cache-control": "max-age=1"}, 60),
        ({"cache-control": "max-age=0"}, 60),
        ({"cache-control": "no-store"}, 60),
        ({"cache-control": "no-cache, max-age=600"}, 60),
        ({"cache-control": "max-age=9999999999"}, 86_400),
        ({"cache-control": "max-age=soon"}, 3600),
    ],
)
def test_how_long_keys_are_fresh_is_the_issuers_word_within_bounds(fields: dict[str, str], seconds: float) -> None:
    assert fresh_seconds(HttpAnswer(status=200, headers=fields, body=b"")) == seconds


async def test_the_document_of_openid_connect_comes_first(provider: OutsideProvider, outgoing: LoopbackHttp) -> None:
    found = await fetch_metadata(outgoing, provider.issuer, loopback=True)
    assert (found.issuer, found.jwks_uri) == (provider.issuer, provider.issuer + "/keys")
    assert provider.asked == {DISCOVERY: 1}


async def test_that_of_an_authorization_server_does_as_well(provider: OutsideProvider, outgoing: LoopbackHttp) -> None:
    provider.answers[DISCOVERY] = lambda: json_answer({}, 404)
    assert (await fetch_metadata(outgoing, provider.issuer, loopback=True)).issuer == provider.issuer
    assert provider.asked[AUTHORIZATION_SERVER] == 1


async def test_an_issuer_without_a_document_is_none(provider: OutsideProvider, outgoing: LoopbackHttp) -> None:
    provider.answers[DISCOVERY] = provider.answers[AUTHORIZATION_SERVER] = lambda: json_answer({}, 404)
    with pytest.raises(IssuerFaulty, match="publishes no document"):
        await fetch_metadata(outgoing, provider.issuer, loopback=True)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"issuer": "https://evil.example"}, "another issuer"),
        ({"issuer": "http://127.0.0.1"}, "another issuer"),
        ({"issuer": ...}, "not the JSON"),
        ({"jwks_uri": ...}, "not the JSON"),
        ({"jwks_uri": "http://id.example/keys"}, "jwks_uri .* not https"),
        ({"jwks_uri": "file:///etc/passwd"}, "jwks_uri .* no host"),
        ({"jwks_uri": ["https://id.example"]}, "not the JSON"),
        ({"authorization_endpoint": "http://evil.example/a"}, "authorization_endpoint .* not https"),
        ({"token_endpoint": "https://me@id.example/t"}, "token_endpoint .* a user"),
    ],
)
async def test_a_document_that_cannot_be_believed_is_refused(
    provider: OutsideProvider, outgoing: LoopbackHttp, changes: dict[str, Any], why: str
) -> None:
    provider.answers[DISCOVERY] = lambda: json_answer(provider.metadata(**changes))
    with pytest.raises(IssuerFaulty, match=why):
        await fetch_metadata(outgoing, provider.issuer, loopback=True)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'"issuer"'])
async def test_what_is_no_document_is_refused(provider: OutsideProvider, outgoing: LoopbackHttp, body: bytes) -> None:
    provider.answers[DISCOVERY] = lambda: (200, {}, body)
    with pytest.raises(IssuerFaulty, match="not the JSON"):
        await fetch_metadata(outgoing, provider.issuer, loopback=True)


async def test_another_status_is_no_document(provider: OutsideProvider, outgoing: LoopbackHttp) -> None:
    provider.answers["/x"] = lambda: json_answer({}, 302, {"location": "https://evil.example"})
    with pytest.raises(IssuerFaulty, match="/x was answered with the status 302"):
        await get_json(outgoing, provider.issuer + "/x")


async def test_a_document_has_a_bounded_size(provider: OutsideProvider, outgoing: LoopbackHttp) -> None:
    provider.answers[DISCOVERY] = lambda: json_answer({"x": "a" * 300_000})
    with pytest.raises(HttpFailed):
        await fetch_metadata(outgoing, provider.issuer, loopback=True)
