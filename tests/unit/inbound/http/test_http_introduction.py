"""The PROXY protocol as bytes: what is read, what is awaited, what is refused."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from mainstay.inbound.http.introduction import read_introduction

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def v2(family: int, body: bytes, kind: int = 0x21) -> bytes:
    return SIGNATURE + bytes((kind, family)) + len(body).to_bytes(2, "big") + body


FOUR = ip_address("203.0.113.7").packed + ip_address("192.0.2.1").packed + (4000).to_bytes(2, "big") * 2
SIX = ip_address("2001:db8::7").packed + ip_address("2001:db8::1").packed + (4000).to_bytes(2, "big") * 2
TLV = b"\x04\x00\x03abc\x20\x00\x00"

GOOD = [
    (b"PROXY TCP4 203.0.113.7 192.0.2.1 4000 80\r\n", "203.0.113.7"),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 0 65535\r\n", "2001:db8::7"),
    (
        b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff1 ::1 65535 65535\r\n",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff1",
    ),
    (b"PROXY UNKNOWN\r\n", ""),
    (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", ""),
    (v2(0x11, FOUR), "203.0.113.7"),
    (v2(0x21, SIX), "2001:db8::7"),
    (v2(0x11, FOUR + TLV), "203.0.113.7"),
    (v2(0x11, FOUR, kind=0x20), ""),
    (v2(0x00, b"", kind=0x20), ""),
    (v2(0x00, b"anything"), ""),
]
BAD = [
    *(
        b"GET / HTTP/1.1\r\n",
        b"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY\r\n",
        b"PROXY TCP4\r\n",
        b"PROXY\tTCP4",
        b"\x16\x03",
    ),
    *(
        b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
    ),
    *(
        b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
    ),
    *(b"PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", b"PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n", b"PROXY TCP4 ::1 ::1 1 2\r\n"),
    *(b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", b"PROXY TCP4 1.2.3.4 x 1 2\r\n"),
    *(
        b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
    ),
    *(
        b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 x\r\n",
        b"PROXY TCP4 \xb2.2.3.4 1.2.3.4 1 2\r\n",
    ),
    *(
        b"PROXY TCP4 1.2.3.4\x00 1.2.3.4 1 2\r\n",
        b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY " + b"x" * 101,
        b"PROXY \xff",
    ),
    *(v2(0x11, FOUR[:11]), v2(0x21, SIX[:35]), v2(0x12, FOUR), v2(0x31, b"x" * 216), v2(0x11, FOUR, kind=0x22)),
    *(
        v2(0x11, FOUR, kind=0x11),
        v2(0x11, FOUR, kind=0x31),
        v2(0x11, FOUR + b"\x04"),
        v2(0x11, FOUR + b"\x04\x00\x05abc"),
    ),
    *(SIGNATURE + b"\x21\x11\x10\x01", SIGNATURE[:11] + b"X", v2(0x11, FOUR + b"\x04\xff\xff")),
]


@pytest.mark.parametrize(("data", "address"), GOOD)
def test_what_a_proxy_says_is_read(data: bytes, address: str) -> None:
    for rest in (b"", b"GET / HTTP/1.1\r\n", b"\r\n", b"PROXY UNKNOWN\r\n"):
        assert read_introduction(data + rest) == (address, len(data))
    for end in range(len(data)):
        assert read_introduction(data[:end]) is None


@pytest.mark.parametrize("data", BAD)
def test_what_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        read_introduction(data)
