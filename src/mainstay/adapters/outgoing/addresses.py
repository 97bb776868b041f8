"""Addresses that are no public hosts: the registries of special addresses (RFC 6890 and later), in one table."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address


class Special(StrEnum):
    """Why an address is none that anybody on the internet has."""

    LOOPBACK = "a loopback address"
    PRIVATE = "a private address"  # RFC 1918, RFC 4193
    SHARED = "an address behind a carrier's translation"  # RFC 6598
    LINK_LOCAL = "a link-local address"
    METADATA = "an address at which clouds tell machines their secrets"
    RESERVED = "an address that is no host's"


_INSIDE = frozenset({Special.LOOPBACK, Special.PRIVATE, Special.SHARED})
_METADATA = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",  # AWS, Google, Azure, DigitalOcean, OpenStack, Oracle
            "169.254.170.2",  # AWS: tasks of ECS
            "169.254.170.23",  # AWS: pods of EKS
            "169.254.0.23",  # Tencent
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure: a public address by its form
            "192.0.0.192",  # Oracle
            "fd00:ec2::254",  # AWS
            "fd00:ec2::23",  # AWS: pods of EKS
            "fd20:ce::254",  # Google
            "fe80::a9fe:a9fe",  # OpenStack
        ),
    )
)
_FOUR = tuple(
    (IPv4Network(network), special)
    for network, special in (
        ("0.0.0.0/8", Special.RESERVED),  # this network; 0.0.0.0 reaches this machine
        ("10.0.0.0/8", Special.PRIVATE),
        ("100.64.0.0/10", Special.SHARED),
        ("127.0.0.0/8", Special.LOOPBACK),
        ("169.254.0.0/16", Special.LINK_LOCAL),
        ("172.16.0.0/12", Special.PRIVATE),
        ("192.0.0.0/24", Special.RESERVED),  # protocol assignments
        ("192.0.2.0/24", Special.RESERVED),  # documentation
        ("192.31.196.0/24", Special.RESERVED),  # AS112
        ("192.52.193.0/24", Special.RESERVED),  # AMT
        ("192.88.99.0/24", Special.RESERVED),  # 6to4 relays
        ("192.168.0.0/16", Special.PRIVATE),
        ("192.175.48.0/24", Special.RESERVED),  # AS112
        ("198.18.0.0/15", Special.RESERVED),  # benchmarks
        ("198.51.100.0/24", Special.RESERVED),  # documentation
        ("203.0.113.0/24", Special.RESERVED),  # documentation
        ("224.0.0.0/4", Special.RESERVED),  # multicast
        ("240.0.0.0/4", Special.RESERVED),  # future use, broadcast
    )
)
_PUBLIC_SIX = IPv6Network("2000::/3")  # all that was ever given to hosts; what is outside is special by being there
_SIX = tuple(
    (IPv6Network(network), special)
    for network, special in (
        ("::1/128", Special.LOOPBACK),
        ("fc00::/7", Special.PRIVATE),
        ("fe80::/10", Special.LINK_LOCAL),
        ("2001::/23", Special.RESERVED),  # protocol assignments, Teredo among them
        ("2001:db8::/32", Special.RESERVED),  # documentation
        ("2002::/16", Special.RESERVED),  # 6to4: an IPv4 address inside, by relays of whoever (RFC 7526)
        ("2620:4f:8000::/48", Special.RESERVED),  # AS112
        ("3fff::/20", Special.RESERVED),  # documentation
    )
)
_TRANSLATED = IPv6Network("64:ff9b::/96")  # NAT64: the last 32 bits are an IPv4 address (RFC 6052)
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})  # before the IPv4 address of an interface (RFC 5214)


def plain(address: Address) -> Address:
    """Return the IPv4 address that a mapped one (``::ffff:192.0.2.1``) is; any other as it is."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def special(address: Address) -> Special | None:
    """Return why an address is no public host's, or None. One that carries an IPv4 address is judged by it, too."""
    address = plain(address)
    if address in _METADATA:
        return Special.METADATA
    if isinstance(address, IPv4Address):
        return next((why for network, why in _FOUR if address in network), None)
    if address in _TRANSLATED:
        return special(IPv4Address(int(address) & 0xFFFFFFFF))
    for network, why in _SIX:
        if address in network:
            return why
    if address not in _PUBLIC_SIX:
        return Special.RESERVED
    if int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
        return special(IPv4Address(int(address) & 0xFFFFFFFF))
    return None


def is_inside(why: Special) -> bool:
    """Whether hosts of one's own have such addresses, so that a name that the settings allow may lead to them."""
    return why in _INSIDE
