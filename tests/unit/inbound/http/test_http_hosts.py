"""Which hosts a door answers for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.inbound.http.hosts import LOCAL, Authority, HostPolicy, parse_authority
from mainstay.inbound.http.problems import Misdirected

POLICY = HostPolicy(["api.shop.example", "*.shop.example", "only.example:8443", "[2001:db8::1]", "192.0.2.7"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shop.example", Authority("shop.example", None, False)),
        ("SHOP.Example.", Authority("shop.example", None, False)),
        ("shop.example:8080", Authority("shop.example", 8080, False)),
        ("shop.example:", Authority("shop.example", None, False)),
        ("192.0.2.7:80", Authority("192.0.2.7", 80, True)),
        ("[2001:DB8:0::1]:443", Authority("2001:db8::1", 443, True)),
        ("[::1]", Authority("::1", None, True)),
        ("[::1]:", Authority("::1", None, True)),
        ("xn--wgv71a.example", Authority("xn--wgv71a.example", None, False)),
        ("a" * 63 + ".example", Authority("a" * 63 + ".example", None, False)),
        ("", None),
        (".", None),
        ("shop.example..", None),
        (".shop.example", None),
        ("shop..example", None),
        ("-shop.example", None),
        ("a" * 64 + ".example", None),
        ("shop.example:65536", None),
        ("shop.example:+80", None),
        ("shop.example:80:80", None),
        ("user@shop.example", None),
        ("shop.example/a", None),
        ("shop example", None),
        ("shop.example, evil.example", None),
        ("::1", None),
        ("[192.0.2.7]", None),
        ("[::1", None),
        ("[::1]a", None),
        ("[fe80::1%eth0]", None),
        ("[shop.example]", None),
        ("\u017fhop.example", None),
        ("shop.example\n", None),
        ("a." * 200 + "example", None),
    ],
)
def test_a_host_has_one_form(text: str, expected: Authority | None) -> None:
    assert parse_authority(text) == expected


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("api.shop.example", True),
        ("API.shop.EXAMPLE.:8080", True),
        ("any.shop.example", True),
        ("shop.example", False),
        ("a.b.shop.example", False),
        ("evilshop.example", False),
        ("api.shop.example.evil.example", False),
        ("only.example:8443", True),
        ("only.example", False),
        ("only.example:443", False),
        ("[2001:db8:0:0::1]:8000", True),
        ("[2001:db8::2]", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("", False),
        ("*.shop.example", False),
        ("x" * 5000, False),
    ],
)
def test_listed_hosts(host: str, allowed: bool) -> None:
    assert POLICY.allows(host) is allowed


def test_names_and_addresses_of_this_machine() -> None:
    local = HostPolicy(LOCAL, addresses=True)
    for host in ("localhost:8001", "shop.localhost", "127.0.0.1:8001", "[::1]:8001", "10.0.0.5"):
        assert local.allows(host)
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example"):
        assert not local.allows(host)


@pytest.mark.parametrize("host", ["https://shop.example", "", "shop.example/", "*.", "*", "*.127.0.0.1", "a.*.example"])
def test_what_is_no_host_cannot_be_listed(host: str) -> None:
    with pytest.raises(ValueError, match="expected a host"):
        HostPolicy([host])


def test_the_authority_of_the_target_counts_too() -> None:
    POLICY.check(b"http://api.shop.example/a", b"api.shop.example")
    for target, host in (
        (b"http://evil.example/a", b"api.shop.example"),
        (b"http://api.shop.example/a", b"evil.example"),
        (b"HTTPS://api.shop.example@evil.example/", b"api.shop.example"),
        (b"/a", None),
        (b"/a", b""),
    ):
        with pytest.raises(Misdirected):
            POLICY.check(target, host)


def test_the_host_that_a_proxy_was_called_by_stands_for_the_field() -> None:
    POLICY.check(b"/a", b"inner:8000", "api.shop.example")
    with pytest.raises(Misdirected):
        POLICY.check(b"/a", b"api.shop.example", "evil.example")


@given(st.text(max_size=300))
def test_any_text_is_judged(text: str) -> None:
    assert POLICY.allows(text) in (True, False)
