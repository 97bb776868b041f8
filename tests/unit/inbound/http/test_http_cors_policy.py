"""Which origins may read answers, and what a preflight is told (Fetch standard)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.inbound.http.cors import CorsPolicy
from mainstay.inbound.http.options import Cors

PATTERN = CorsPolicy(Cors(origins=("https://*.shop.example", "https://shop.example", "http://*.shop.example:8080")))


def allows(policy: CorsPolicy, origin: bytes) -> bool:
    told = policy.answer(origin)
    allowed = b"Access-Control-Allow-Origin: " + origin + b"\r\n" in told
    assert allowed is (policy.preflight(origin, b"GET") != b"")
    assert told.endswith(b"Vary: Origin\r\n")
    assert told.count(b"Vary") == 1
    return allowed


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (b"https://shop.example", True),
        (b"https://a.shop.example", True),
        (b"https://pr-12.shop.example", True),
        (b"http://a.shop.example:8080", True),
        (b"https://a.b.shop.example", False),
        (b"https://.shop.example", False),
        (b"https://evilshop.example", False),
        (b"https://a.shop.example.evil.example", False),
        (b"https://a.shop.example:444", False),
        (b"https://a.shop.example:443", False),
        (b"http://a.shop.example", False),
        (b"HTTPS://a.shop.example", False),
        (b"https://A.shop.example", False),
        (b"https://a.Shop.example", False),
        (b"https://a.shop.example/", False),
        (b"https://a.shop.example ", False),
        (b"https://user@a.shop.example", False),
        (b"https://evil.example#.shop.example", False),
        (b"https://evil.example/.shop.example", False),
        (b"https://*.shop.example", False),
        (b"https://\xe9.shop.example", False),
        (b"https://a.shop.example, https://shop.example", False),
        (b"null", False),
        (b"", False),
        (b"*", False),
    ],
)
def test_a_star_is_one_label(origin: bytes, allowed: bool) -> None:
    assert allows(PATTERN, origin) is allowed


@given(st.binary(max_size=60))
def test_no_other_origin_fits(junk: bytes) -> None:
    assert not allows(PATTERN, b"https://evil.example/" + junk)
    assert not allows(PATTERN, junk + b"\x00")


@pytest.mark.parametrize(
    "origin",
    ["https://shop.example:443", "http://shop.example:80", "https://*", "https://*.example", "https://a.*.example"],
)
def test_an_origin_that_no_browser_sends_or_that_is_everybodys(origin: str) -> None:
    with pytest.raises(ValueError, match=r"cors: origin"):
        Cors(origins=(origin,))


def test_the_origin_of_sandboxes_and_files_is_refused() -> None:
    with pytest.raises(ValueError, match="sandboxed"):
        Cors(origins=("null",))


def test_every_origin_never_goes_with_credentials() -> None:
    with pytest.raises(ValueError, match="cannot go with credentials"):
        Cors(origins=("*",), credentials=True)


def test_every_origin_needs_no_vary() -> None:
    policy = CorsPolicy(Cors(origins=("*",)))
    for origin in (b"null", b"https://any.example"):
        assert b"Access-Control-Allow-Origin: *\r\n" in policy.answer(origin)
        assert b"Vary" not in policy.answer(origin)
    assert policy.answer(None) == b""


def test_credentials_and_names_of_the_team() -> None:
    cors = Cors(origins=("https://a.example",), credentials=True, headers=("X-Trace",), expose=("X-Total",), max_age=5)
    policy = CorsPolicy(cors, ["X-Taken"])
    told, preflight = policy.answer(b"https://a.example"), policy.preflight(b"https://a.example", b"GET, PUT")
    assert b"Access-Control-Allow-Credentials: true\r\n" in told
    assert b", X-Total\r\n" in told
    assert b"Access-Control-Allow-Methods: GET, PUT\r\n" in preflight
    assert b", X-Taken, X-Trace\r\n" in preflight
    assert b"Access-Control-Max-Age: 5\r\n" in preflight
    assert b"*" not in told + preflight


def test_a_private_network_is_reached_where_that_was_opened() -> None:
    origin = b"https://a.example"
    closed = CorsPolicy(Cors(origins=("https://a.example",)))
    opened = CorsPolicy(Cors(origins=("https://a.example",), private_network=True))
    line = b"Access-Control-Allow-Private-Network: true\r\n"
    assert line not in closed.preflight(origin, b"GET", private=True)
    assert line in opened.preflight(origin, b"GET", private=True)
    assert line not in opened.preflight(origin, b"GET")
    assert b"Vary: Access-Control-Request-Private-Network\r\n" in opened.preflight(origin, b"GET")
    assert opened.preflight(b"https://b.example", b"GET", private=True) == b""
