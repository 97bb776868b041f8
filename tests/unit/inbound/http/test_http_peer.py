"""Which address is the client's, whatever the client itself writes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.inbound.http.peer import Peer, ProxyTrust, bucket

TRUST = ProxyTrust(["10.0.0.0/8", "2001:db8:ffff::/48", "192.0.2.7"])
PROXY = "10.0.0.1"


@pytest.mark.parametrize(
    ("address", "field", "expected"),
    [
        (PROXY, None, PROXY),
        (PROXY, b"", PROXY),
        (PROXY, b"198.51.100.9", "198.51.100.9"),
        (PROXY, b"203.0.113.5, 198.51.100.9", "198.51.100.9"),
        (PROXY, b"203.0.113.5, 198.51.100.9, 10.2.3.4", "198.51.100.9"),
        (PROXY, b"203.0.113.5,198.51.100.9 ,\t10.2.3.4", "198.51.100.9"),
        (PROXY, b"10.9.9.9, 10.2.3.4", "10.9.9.9"),
        (PROXY, b"198.51.100.9:4711", "198.51.100.9"),
        (PROXY, b"2001:DB8::0001", "2001:db8::1"),
        (PROXY, b"[2001:db8::1]:443", "2001:db8::1"),
        (PROXY, b"[2001:db8::1]", "2001:db8::1"),
        (PROXY, b"::ffff:198.51.100.9", "198.51.100.9"),
        (PROXY, b"198.51.100.9, ::ffff:10.2.3.4", "198.51.100.9"),
        (PROXY, b"198.51.100.9, unknown", PROXY),
        (PROXY, b"198.51.100.9, unknown, 10.2.3.4", "10.2.3.4"),
        (PROXY, b"198.51.100.9, 999.1.1.1", PROXY),
        (PROXY, b"198.51.100.9, 010.1.1.1", PROXY),
        (PROXY, b"198.51.100.9, 1.2.3.4\x00", PROXY),
        (PROXY, b"198.51.100.9,,", "198.51.100.9"),
        (PROXY, b"\xff\xfe", PROXY),
        (PROXY, b"198.51.100.9, " * 1000 + b"203.0.113.5", "203.0.113.5"),
        (PROXY, b"203.0.113.5, " + b"10.4.4.4, " * 1000, "10.4.4.4"),
        (PROXY, b"203.0.113.5" * 1000, PROXY),
        ("198.51.100.1", b"203.0.113.5", "198.51.100.1"),
        ("192.0.2.7", b"203.0.113.5", "203.0.113.5"),
        ("192.0.2.8", b"203.0.113.5", "192.0.2.8"),
        ("2001:db8:ffff::1", b"203.0.113.5", "203.0.113.5"),
        ("::ffff:10.0.0.1", b"203.0.113.5", "203.0.113.5"),
        ("", b"203.0.113.5", ""),
        ("/run/shop.sock", b"203.0.113.5", "/run/shop.sock"),
    ],
)
def test_x_forwarded_for(address: str, field: bytes | None, expected: str) -> None:
    assert TRUST.peer(address, x_forwarded_for=field).address == expected


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"for=198.51.100.9", Peer("198.51.100.9")),
        (b"For=198.51.100.9;Proto=HTTPS;host=shop.example", Peer("198.51.100.9", "https", "shop.example")),
        (b'for="[2001:db8::1]:4711";proto=http;by=10.0.0.1', Peer("2001:db8::1", "http")),
        (b'for="198.51.100.9:80";host="shop.example:8443"', Peer("198.51.100.9", None, "shop.example:8443")),
        (b"for=203.0.113.5, for=198.51.100.9;proto=https", Peer("198.51.100.9", "https")),
        (b"for=198.51.100.9;proto=https, for=10.2.3.4;proto=http", Peer("198.51.100.9", "https")),
        (b"for=198.51.100.9, for=10.2.3.4;proto=https;host=a.example", Peer("198.51.100.9", "https", "a.example")),
        (b"for=198.51.100.9;proto=gopher;host=a b", Peer(PROXY)),
        (b'for=198.51.100.9;proto=gopher;host="a b"', Peer("198.51.100.9")),
        (b"for=unknown", Peer(PROXY)),
        (b"for=_hidden", Peer(PROXY)),
        (b"for=198.51.100.9, for=_hidden;proto=https", Peer(PROXY)),
        (b"for=198.51.100.9, proto=https", Peer(PROXY)),
        (b"for=198.51.100.9;for=203.0.113.5", Peer(PROXY)),
        (b"for=198.51.100.9;", Peer(PROXY)),
        (b"198.51.100.9", Peer(PROXY)),
        (b'for="198.51.100.9', Peer(PROXY)),
        (b'for="evil, for=198.51.100.9', Peer("198.51.100.9")),
        (b'for="evil, for=203.0.113.5, ", for=198.51.100.9', Peer("198.51.100.9")),
        (b'for="evil, for=203.0.113.5, ", for=10.2.3.4', Peer("10.2.3.4")),
    ],
)
def test_forwarded(field: bytes, expected: Peer) -> None:
    assert TRUST.peer(PROXY, field) == expected


@pytest.mark.parametrize(
    ("proto", "host", "expected"),
    [
        (None, None, Peer("198.51.100.9")),
        (b"https", b"shop.example", Peer("198.51.100.9", "https", "shop.example")),
        (b"https, http", b"shop.example, inner", Peer("198.51.100.9", "https", "shop.example")),
        (b"http, https, http", None, Peer("198.51.100.9", "http")),
        (b"javascript", b"<b>", Peer("198.51.100.9")),
        (b"HTTPS", b"[2001:db8::1]:443", Peer("198.51.100.9", "https", "[2001:db8::1]:443")),
        (b"https", b"shop.example:99999", Peer("198.51.100.9", "https")),
        (b"https", b"shop..example", Peer("198.51.100.9", "https")),
        (b"https", b"[::1", Peer("198.51.100.9", "https")),
        (b"https", b"shop.example/evil", Peer("198.51.100.9", "https")),
        (b"https", b"user@shop.example", Peer("198.51.100.9", "https")),
        (b"https, javascript", None, Peer("198.51.100.9", "https")),
    ],
)
def test_scheme_and_host_beside_x_forwarded_for(proto: bytes | None, host: bytes | None, expected: Peer) -> None:
    assert TRUST.peer(PROXY, None, b"198.51.100.9, 10.2.3.4", proto, host) == expected


def test_scheme_and_host_of_a_stranger_are_not_believed() -> None:
    assert TRUST.peer("198.51.100.1", None, b"203.0.113.5", b"https", b"evil.example") == Peer("198.51.100.1")
    assert TRUST.peer(PROXY, None, None, b"https", b"evil.example") == Peer(PROXY)


def test_two_headers_that_differ_are_not_believed() -> None:
    forwarded, x_forwarded_for = b"for=203.0.113.5", b"198.51.100.9"

    assert TRUST.peer(PROXY, forwarded, x_forwarded_for) == Peer(PROXY)
    assert TRUST.peer(PROXY, b"for=198.51.100.9;proto=https", x_forwarded_for) == Peer("198.51.100.9", "https")
    assert (
        ProxyTrust(["10.0.0.0/8"], header="forwarded").peer(PROXY, forwarded, x_forwarded_for).address == "203.0.113.5"
    )
    only_x = ProxyTrust(["10.0.0.0/8"], header="x-forwarded-for")
    assert only_x.peer(PROXY, forwarded, x_forwarded_for).address == "198.51.100.9"


def test_long_fields_are_read_and_not_remembered() -> None:
    trust = ProxyTrust(["10.0.0.0/8"])

    assert trust.client(PROXY, {b"x-forwarded-for": b"203.0.113.5, " * 100 + b"198.51.100.9"}) == "198.51.100.9"
    assert trust._resolve.cache_info().currsize == 0


def test_client_of_headers() -> None:
    headers = {b"forwarded": b"for=198.51.100.9", b"host": b"shop.example"}

    assert TRUST.client(PROXY, headers) == "198.51.100.9"
    assert TRUST.client(PROXY, {}) == PROXY
    assert TRUST.client(PROXY, {b"x-forwarded-for": b"203.0.113.5"}) == "203.0.113.5"
    assert TRUST.bucket(PROXY, {b"x-forwarded-for": b"2001:db8:1:2::3"}) == "2001:db8:1:2::/64"


@pytest.mark.parametrize("network", ["10.0.0.1/8", "proxy.example", "*", ""])
def test_what_is_no_network(network: str) -> None:
    with pytest.raises(ValueError, match="trusted proxies"):
        ProxyTrust([network])


def test_what_is_remembered_is_bounded() -> None:
    trust = ProxyTrust(["10.0.0.0/8"])
    for number in range(6_000):
        trust.peer(PROXY, x_forwarded_for=str(IPv4Address(0x20000000 + number)).encode())

    assert trust._resolve.cache_info().currsize <= 4096


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("198.51.100.9", "198.51.100.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("::ffff:198.51.100.9", "198.51.100.9"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("a:b", "a:b"),
        ("x" * 100, "x" * 64),
        ("y:" * 100, ("y:" * 100)[:64]),
    ],
)
def test_bucket(address: str, expected: str) -> None:
    assert bucket(address) == expected


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_a_64_is_one_bucket(address: IPv6Address, host: int) -> None:
    neighbour = IPv6Address(int(address) >> 64 << 64 | host)
    mapped = address.ipv4_mapped or neighbour.ipv4_mapped

    assert mapped is not None or bucket(str(address)) == bucket(str(neighbour))
    assert mapped is not None or bucket(str(address)) != bucket(str(IPv6Address(int(address) ^ 1 << 64)))


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_one_bucket(address: IPv4Address) -> None:
    assert bucket(str(address)) == bucket(f"::ffff:{address}") == str(address)


HOSTILE = st.binary(max_size=120) | st.from_regex(rb"[for=\"\[\];:,.0-9a-f ]{0,80}", fullmatch=True)


@given(HOSTILE, st.ip_addresses(v=4).filter(lambda ip: ip not in ip_network("10.0.0.0/8")))
def test_nothing_that_a_client_writes_hides_its_address(written: bytes, client: IPv4Address) -> None:
    if str(client) == "192.0.2.7":
        return
    text = str(client).encode()

    assert TRUST.peer(PROXY, x_forwarded_for=written + b", " + text).address == str(client)
    assert TRUST.peer(PROXY, x_forwarded_for=written + b"," + text + b", 10.4.4.4").address == str(client)
    assert TRUST.peer(PROXY, written + b", for=" + text).address == str(client)
    assert TRUST.peer(PROXY, written + b',for="' + text + b':99";proto=https, for=10.4.4.4').address == str(client)


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_any_field_gives_an_address(forwarded: bytes, for_: bytes, proto: bytes, host: bytes) -> None:
    peer = TRUST.peer(PROXY, forwarded, for_, proto, host)

    assert str(ip_address(peer.address)) == peer.address
    assert peer.scheme in (None, "http", "https")
    assert peer.host is None or peer.host.isascii()


@given(HOSTILE)
def test_a_stranger_is_never_believed(written: bytes) -> None:
    assert TRUST.peer("198.51.100.1", written, written, written, written) == Peer("198.51.100.1")
