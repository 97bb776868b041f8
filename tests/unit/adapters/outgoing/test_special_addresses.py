"""Which addresses are no public hosts'."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from mainstay.adapters.outgoing.addresses import Special, is_inside, plain, special

PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0"),
    *("169.253.255.255", "192.167.255.255", "198.17.255.255", "198.20.0.0", "223.255.255.255", "::ffff:8.8.8.8"),
    *("2606:4700:4700::1111", "2a00:1450:4001::1", "64:ff9b::8.8.8.8", "2001:4860:4860::8888"),
    "2606:4700::5efe:808:808",
]
SPECIAL = [
    *(("127.0.0.1", Special.LOOPBACK), ("127.255.255.254", Special.LOOPBACK), ("::1", Special.LOOPBACK)),
    *(("10.0.0.0", Special.PRIVATE), ("10.255.255.255", Special.PRIVATE), ("172.16.0.1", Special.PRIVATE)),
    *(("172.31.255.255", Special.PRIVATE), ("192.168.1.1", Special.PRIVATE), ("fc00::1", Special.PRIVATE)),
    *(("fdff::1", Special.PRIVATE), ("100.64.0.1", Special.SHARED), ("100.127.255.255", Special.SHARED)),
    *(("169.254.1.1", Special.LINK_LOCAL), ("fe80::1", Special.LINK_LOCAL), ("febf::1", Special.LINK_LOCAL)),
    *(
        ("169.254.169.254", Special.METADATA),
        ("100.100.100.200", Special.METADATA),
        ("fd00:ec2::254", Special.METADATA),
    ),
    *(("168.63.129.16", Special.METADATA), ("169.254.170.2", Special.METADATA), ("192.0.0.192", Special.METADATA)),
    *(("0.0.0.0", Special.RESERVED), ("0.1.2.3", Special.RESERVED), ("192.0.0.1", Special.RESERVED)),
    *(("192.0.2.1", Special.RESERVED), ("198.51.100.1", Special.RESERVED), ("203.0.113.1", Special.RESERVED)),
    *(("198.18.0.1", Special.RESERVED), ("198.19.255.255", Special.RESERVED), ("192.88.99.1", Special.RESERVED)),
    *(("224.0.0.1", Special.RESERVED), ("239.255.255.255", Special.RESERVED), ("240.0.0.1", Special.RESERVED)),
    *(("255.255.255.255", Special.RESERVED), ("::", Special.RESERVED), ("ff02::1", Special.RESERVED)),
    *(("2001:db8::1", Special.RESERVED), ("3fff::1", Special.RESERVED), ("5f00::1", Special.RESERVED)),
    *(("fec0::1", Special.RESERVED), ("100::1", Special.RESERVED), ("::127.0.0.1", Special.RESERVED)),
    # an IPv4 address inside another one
    *(("::ffff:127.0.0.1", Special.LOOPBACK), ("::ffff:169.254.169.254", Special.METADATA)),
    *(("::ffff:10.1.2.3", Special.PRIVATE), ("64:ff9b::127.0.0.1", Special.LOOPBACK)),
    *(("64:ff9b::a9fe:a9fe", Special.METADATA), ("64:ff9b:1::10.0.0.1", Special.RESERVED)),
    *(("2002:7f00:1::1", Special.RESERVED), ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Special.RESERVED)),
    *(("2606:4700::5efe:7f00:1", Special.LOOPBACK), ("2606:4700::200:5efe:a00:1", Special.PRIVATE)),
    ("::ffff:0:127.0.0.1", Special.RESERVED),
]


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_not_special(text: str) -> None:
    assert special(ip_address(text)) is None


@pytest.mark.parametrize(("text", "why"), SPECIAL)
def test_a_special_address_is_known(text: str, why: Special) -> None:
    assert special(ip_address(text)) is why


def test_nothing_that_python_knows_as_private_is_public() -> None:
    for network in ("0.0.0.0/0", "2000::/3"):
        whole = ip_network(network)
        for step in range(0, 4096):
            address = whole[step * (whole.num_addresses // 4096) + 1]
            assert special(address) is not None or address.is_global, address


def test_a_mapped_address_is_the_one_that_is_connected_to() -> None:
    assert plain(ip_address("::ffff:8.8.8.8")) == ip_address("8.8.8.8")
    assert plain(ip_address("2606:4700::1")) == ip_address("2606:4700::1")


def test_only_addresses_of_ones_own_are_opened_by_a_name() -> None:
    assert {why for why in Special if is_inside(why)} == {Special.LOOPBACK, Special.PRIVATE, Special.SHARED}
