"""The security headers of answers: which, when, and who wins."""

from __future__ import annotations

from collections import Counter

import pytest
from http_sample import Sample
from hypothesis import given
from hypothesis import strategies as st

from mainstay.inbound.http.exchange import Answer
from mainstay.inbound.http.options import Cors, HttpOptions, Security
from mainstay.inbound.http.security import security_lines, viewed, without
from mainstay.kernel.call import Reply
from mainstay.model.inputs import File
from mainstay.model.problem import Malformed

NAMES = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
YEAR = Security(hsts_max_age=31_536_000)


def fields(answer: Answer) -> list[tuple[str, str]]:
    lines = answer.head.decode("latin-1").split("\r\n")[:-1]
    return [(name.lower(), value) for name, _, value in (one.partition(": ") for one in lines)]


def test_the_usual_ones() -> None:
    lines = security_lines(Security(), secure=False).decode().split("\r\n")[:-1]
    assert {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)} == NAMES
    assert security_lines(None, secure=True) == b""


@pytest.mark.parametrize(
    ("security", "expected"),
    [
        (Security(), None),
        (YEAR, "max-age=31536000"),
        (Security(hsts_max_age=60, hsts_subdomains=True), "max-age=60; includeSubDomains"),
        (Security(hsts_max_age=60, hsts_subdomains=True, hsts_preload=True), "max-age=60; includeSubDomains; preload"),
    ],
)
def test_transport_security_is_told_over_tls_only(security: Security, expected: str | None) -> None:
    over_tls = security_lines(security, secure=True).decode()
    assert (f"Strict-Transport-Security: {expected}\r\n" in over_tls) is (expected is not None)
    assert "Strict-Transport-Security" not in security_lines(security, secure=False).decode()


def test_one_that_is_empty_is_left_out() -> None:
    lines = security_lines(Security(frame_options="", permissions_policy="camera=()"), secure=False)
    assert b"X-Frame-Options" not in lines
    assert b"Permissions-Policy: camera=()\r\n" in lines


@pytest.mark.parametrize("value", ["a\r\nX: b", "a\nb", "ż", "a\0"])
def test_a_header_cannot_be_ended_early(value: str) -> None:
    with pytest.raises(ValueError, match="content_policy"):
        Security(content_policy=value)


def test_lines_without_those_that_are_set() -> None:
    lines = b"A: 1\r\nVary: Origin\r\nX-B: 2\r\n"
    assert without(lines, ["x-b", "vary"]) == b"A: 1\r\nVary: Origin\r\n"
    assert without(lines, []) is lines
    assert without(b"", ["a"]) == b""


@pytest.mark.parametrize(
    ("media_type", "inline", "loads"),
    [
        ("video/mp4", True, True),
        ("application/pdf", True, True),
        ("image/png", True, True),
        ("image/svg+xml", True, False),
        ("text/html", True, False),
        ("video/mp4", False, False),
    ],
)
def test_a_browser_may_show_what_holds_no_scripts(media_type: str, inline: bool, loads: bool) -> None:
    door = Sample().door(HttpOptions())
    exchange = door.receive(b"GET", b"/file", {b"host": b"t"}, "127.0.0.1", "127.0.0.1")
    file = File(content=b"a", media_type=media_type, inline=inline)
    policy = dict(fields(door.finish(exchange, Reply(file=file))))["content-security-policy"]
    assert ("media-src 'self'" in policy) is loads
    assert "script" not in policy
    assert policy.startswith("default-src 'none'; ")
    assert security_lines(Security(), secure=False) != viewed(security_lines(Security(), secure=False), "video/mp4")
    chosen = security_lines(Security(content_policy="sandbox"), secure=False)
    assert viewed(chosen, "video/mp4") == chosen


def test_a_use_case_that_sets_one_is_obeyed() -> None:
    door = Sample().door(HttpOptions())
    exchange = door.receive(b"GET", b"/hello", {b"host": b"t"}, "127.0.0.1", "127.0.0.1")
    own = (("Content-Security-Policy", "sandbox"), ("x-frame-options", "SAMEORIGIN"), ("Vary", "Cookie"))
    told = fields(door.finish(exchange, Reply(body=b"{}", headers=own)))
    counted = Counter(name for name, _ in told)
    assert [name for name, count in counted.items() if count > 1 and name != "vary"] == []
    assert dict(told) | {"referrer-policy": "no-referrer"} == dict(told)
    assert (dict(told)["content-security-policy"], dict(told)["x-frame-options"]) == ("sandbox", "SAMEORIGIN")


@pytest.mark.parametrize("path", [b"/hello", b"/nothing", b"/items/1", b"/boom"])
def test_they_cost_no_look_at_a_request(path: bytes) -> None:
    """What every answer carries is one object, made when the door was."""
    door = Sample().door(HttpOptions(security=YEAR))
    first, second = (door.receive(b"GET", path, {b"host": b"t"}, "127.0.0.1", "127.0.0.1") for _ in range(2))
    assert first.common is second.common


def test_a_listener_that_speaks_tls() -> None:
    door = Sample().door(HttpOptions(security=YEAR))
    door.over_tls()
    exchange = door.receive(b"GET", b"/hello", {b"host": b"t"}, "127.0.0.1", "127.0.0.1")
    assert b"Strict-Transport-Security: max-age=31536000\r\n" in exchange.common


@pytest.mark.parametrize(
    ("address", "forwarded", "secure"),
    [
        ("10.0.0.1", b"for=198.51.100.9;proto=https", True),
        ("10.0.0.1", b"for=198.51.100.9;proto=http", False),
        ("10.0.0.1", b"for=198.51.100.9", False),
        ("10.0.0.1", b"for=unknown;proto=https", False),
        ("198.51.100.1", b"for=198.51.100.9;proto=https", False),
    ],
)
def test_a_listed_proxy_says_how_it_was_called(address: str, forwarded: bytes, secure: bool) -> None:
    door = Sample().door(HttpOptions(security=YEAR, trusted_proxies=("10.0.0.0/8",)))
    exchange = door.receive(b"GET", b"/hello", {b"host": b"t", b"forwarded": forwarded}, address, address)
    assert exchange.secure is secure
    assert (b"Strict-Transport-Security" in exchange.common) is secure


def test_a_head_that_cannot_be_read_is_answered_over_tls_as_well() -> None:
    door = Sample().door(HttpOptions(security=YEAR))
    exchange = door.broken(b"GET", b"/hello", {}, "127.0.0.1", Malformed(), secure=True)
    assert exchange.answer is not None
    assert b"Strict-Transport-Security" in exchange.answer.head


def test_a_proxy_that_was_called_without_tls_wins_over_our_own_tls() -> None:
    door = Sample().door(HttpOptions(security=YEAR, trusted_proxies=("10.0.0.0/8",)))
    door.over_tls()
    headers = {b"host": b"t", b"forwarded": b"for=198.51.100.9;proto=http"}
    assert not door.receive(b"GET", b"/hello", headers, "10.0.0.1", "10.0.0.1").secure


HOSTILE = st.binary(max_size=60) | st.from_regex(rb"[for=;\"protohst\[\]:.,0-9 ]{0,60}", fullmatch=True)
FIELDS = (b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"host", b"origin")


@given(st.fixed_dictionaries({name: HOSTILE for name in FIELDS}), st.sampled_from(["10.0.0.1", "198.51.100.1", ""]))
def test_whatever_a_proxy_writes_is_answered(headers: dict[bytes, bytes], address: str) -> None:
    options = HttpOptions(
        trusted_proxies=("10.0.0.0/8",), hosts=("shop.example",), cors=Cors(origins=("https://*.shop.example",))
    )
    exchange = Sample().door(options).receive(b"GET", b"/hello", headers, address, address)
    assert exchange.answer is None or exchange.answer.status == 421
    assert exchange.common.count(b"X-Frame-Options") == 1
    assert b"Access-Control-Allow-Origin" not in exchange.common
