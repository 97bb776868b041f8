"""The parts of a request's head."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.inbound.http.conditional import NEVER, entity_tag, if_match_versions, known_tag, representation
from mainstay.inbound.http.negotiate import acceptable, matches, readable, split_media
from mainstay.inbound.http.problems import HeaderMalformed, PathMalformed, QueryMalformed
from mainstay.inbound.http.request import (
    add_field,
    credentials_of,
    decode_query,
    decode_segment,
    idempotency_key_of,
    request_id_of,
    split_target,
    traceparent_of,
)

TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        (b"/", (b"/", b"")),
        (b"/a?b=c?d", (b"/a", b"b=c?d")),
        (b"/a?", (b"/a", b"")),
        (b"http://h:80/a?b", (b"/a", b"b")),
        (b"HTTPS://h?b", (b"/", b"b")),
        (b"http://h", (b"/", b"")),
        (b"//h/a", (b"//h/a", b"")),
    ],
)
def test_split_target(target: bytes, parts: tuple[bytes, bytes]) -> None:
    assert split_target(target) == parts


@pytest.mark.parametrize("target", [b"", b"a", b"*", b"h:80", b"/a#b", b"ftp://h/a", b"http:/a"])
def test_a_target_that_is_none(target: bytes) -> None:
    with pytest.raises(PathMalformed):
        split_target(target)


@given(st.text())
def test_a_segment_comes_back_as_it_was(text: str) -> None:
    encoded = "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "replace"))
    assert decode_segment(encoded.encode()) == text.encode("utf-8", "replace").decode()


@given(st.binary())
def test_a_segment_is_decoded_or_refused(segment: bytes) -> None:
    with suppress(PathMalformed):
        decode_segment(segment)


@given(st.binary())
def test_a_query_is_decoded_or_refused(query: bytes) -> None:
    try:
        pairs = decode_query(query)
    except QueryMalformed:
        return
    assert len(pairs) <= query.count(b"&") + 1


def test_raw_bytes_beyond_ascii_are_refused() -> None:
    with pytest.raises(PathMalformed):
        decode_segment("é".encode())


def test_fields_of_one_name_are_joined() -> None:
    headers = {b"accept": b"a", b"cookie": b"x=1", b"host": b"h"}
    add_field(headers, b"accept", b"b")
    add_field(headers, b"cookie", b"y=2")
    assert headers == {b"accept": b"a, b", b"cookie": b"x=1; y=2", b"host": b"h"}
    with pytest.raises(HeaderMalformed, match="host"):
        add_field(headers, b"host", b"h2")


@pytest.mark.parametrize(
    "field",
    [
        TRACE.replace(b"00-", b"ff-", 1),
        TRACE.upper(),
        TRACE + b"-x",
        TRACE[:-1],
        TRACE.replace(b"00f067aa0ba902b7", b"0" * 16),
        b"",
    ],
)
def test_an_invalid_traceparent_is_none(field: bytes) -> None:
    assert traceparent_of(field) is None


def test_a_valid_traceparent() -> None:
    assert traceparent_of(TRACE) == TRACE.decode()
    later = TRACE.replace(b"00-", b"01-", 1) + b"-more"
    assert traceparent_of(later) == later.decode()


def test_credentials_are_never_part_of_a_scheme() -> None:
    assert credentials_of(b"BEARER t") == (b"t", None)
    assert credentials_of(b"Digest username=x") == (None, "Digest")
    assert credentials_of(b"") == (None, "")


@given(st.binary(max_size=80))
def test_a_request_id_is_fit_for_a_log_or_none(field: bytes) -> None:
    found = request_id_of(field)
    assert found is None or (found.isascii() and found.isprintable() and 1 <= len(found) <= 64)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=100))
def test_a_key_in_quotes_comes_back_as_it_was(key: str) -> None:
    quoted = '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'
    assert idempotency_key_of(quoted.encode()) == key


@pytest.mark.parametrize("field", [b"", b'"', b'""', b'"\\x"', b"a\\b", b'"a"b', b"\x7f", "é".encode()])
def test_a_key_that_is_none(field: bytes) -> None:
    with pytest.raises(HeaderMalformed):
        idempotency_key_of(field)


def test_media_types() -> None:
    assert split_media('Text/HTML ; Charset="UTF-8";q=.5') == ("text/html", {"charset": "UTF-8", "q": ".5"})
    assert matches("*/*", "a/b")
    assert matches("a/*", "a/b")
    assert not matches("a/*", "ab/c")
    assert readable(("application/json",), "application/json; charset=UTF-8")
    assert not readable(("application/json",), "application/json; charset=utf-16")
    assert readable(("*/*",), "text/plain; charset=latin-1")
    assert not readable(("*/*",), "nothing")


@pytest.mark.parametrize(
    ("field", "yes"),
    [
        ("application/json", True),
        ("APPLICATION/JSON", True),
        ("application/json;q=0.001", True),
        ("application/json;q=0.000", False),
        ("*/*;q=0, application/json", True),
        ("application/*;q=0, */*", False),
        ("application/json;q=x", False),
        ("application/json;q=2", False),
        ("", False),
        (",,application/json", True),
    ],
)
def test_accept(field: str, yes: bool) -> None:
    assert acceptable(field, "application/json") is yes


@given(st.integers(0, 2**63 - 1), st.text(max_size=20))
def test_a_validator_names_its_version(version: int, view: str) -> None:
    tag = entity_tag(version, representation(view.encode("utf-8", "replace").decode(), "application/json"))
    assert if_match_versions(tag) == (version,)
    assert known_tag(tag, [tag]) == tag
    assert known_tag(f"W/{tag}", [tag]) == tag
    assert known_tag('"other"', [tag]) is None


@given(st.text(max_size=60))
def test_a_condition_never_becomes_any_version_by_accident(field: str) -> None:
    try:
        versions = if_match_versions(field)
    except HeaderMalformed:
        return
    assert (versions == ()) == (field.strip() == "*")


def test_tags_that_cannot_match() -> None:
    assert if_match_versions('W/"3-00000000"') == (NEVER,)
    assert if_match_versions('"3-00000000" , "zzz"') == (3,)
    assert if_match_versions('""') == (NEVER,)
