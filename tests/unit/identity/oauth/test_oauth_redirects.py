"""Which URLs nobody may be redirected to, and which are the same as one that was listed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.identity.oauth.redirects import is_listed, redirect_fault, with_parameters

GOOD = [
    "https://client.example",
    "https://client.example/back?a=b&c=%20",
    "https://client.example:8443/back",
    "https://[2001:db8::1]/back",
    "http://127.0.0.1/back",
    "http://127.0.0.1:8080/back",
    "http://[::1]/back",
    "com.example.app:/back",
    "com.example.app:/back?x=1",
]
BAD = [
    "",
    "client.example",
    "//client.example",
    "https:",
    "https://",
    "https:///back",
    "https:/client.example",
    "https:client.example",
    "http://client.example/back",
    "http://localhost/back",
    "http://127.0.0.2/back",
    "http://0.0.0.0/back",
    "ftp://client.example",
    "app:/back",
    "javascript:alert(1)",
    "com.example.app://host/back",
    "https://me@client.example",
    "https://me:word@client.example",
    "https://client.example#",
    "https://client.example/#part",
    "https://client.example/\\evil",
    "https://client.example/a b",
    "https://client.example/\n",
    "https://client.example/ü",
    "https://client.example/*",
    "https://client.example/a/../b",
    "https://client.example/./b",
    "https://client.example/%2e%2e/b",
    "https://client.example/a/..",
    "https://client.example:port/",
    "https://client.example:99999/",
    "https://[::1/back",
    "https://client.example/" + "a" * 2000,
]


@pytest.mark.parametrize("url", GOOD)
def test_a_redirect_that_may_be(url: str) -> None:
    assert redirect_fault(url) is None


@pytest.mark.parametrize("url", [url for url in BAD if url != "https://client.example/*"])
def test_a_redirect_that_may_not_be(url: str) -> None:
    assert redirect_fault(url) is not None


def test_a_star_is_a_star() -> None:
    assert not is_listed("https://client.example/x", ["https://client.example/*"])


@given(st.text(max_size=60), st.sampled_from([url for url in GOOD if url.startswith("https")]))
def test_nothing_but_the_same_text_is_listed(text: str, listed: str) -> None:
    assert is_listed(text, [listed]) == (text == listed)
    assert is_listed(listed + text, [listed]) == (not text)


@given(st.text(max_size=60))
def test_what_is_no_loopback_address_has_no_port_of_its_own(text: str) -> None:
    url = f"http://127.0.0.1{text}/back"
    if is_listed(url, ["http://127.0.0.1/back"]):
        assert text == "" or (text[0] == ":" and (text[1:] == "" or 0 <= int(text[1:]) < 65_536))


@given(st.dictionaries(st.text(min_size=1), st.text(), min_size=1))
def test_parameters_come_back_as_they_were(parameters: dict[str, str]) -> None:
    from urllib.parse import parse_qsl, urlsplit

    clean = {k: v for k, v in parameters.items() if (k + v).isprintable() and not _surrogates(k + v)}
    url = with_parameters("https://client.example/back?a=1", clean)
    found = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    assert found == {"a": "1", **clean}


def _surrogates(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)
