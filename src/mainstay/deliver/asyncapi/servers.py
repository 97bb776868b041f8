"""The servers of a document: where the broker is, by its URL, and nothing of what it is entered with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from mainstay.deliver.openapi.schemas import Schema

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)")
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_PROTOCOLS: Mapping[str, str] = MappingProxyType({"rabbitmq": "amqp", "rabbitmqs": "amqps", "rediss": "redis"})
"""Schemes that AsyncAPI knows by another name."""


def servers_of(url: str) -> dict[str, Schema]:
    """Return the servers that a URL names, one for each host of it; none where it names no host for certain.

    A password that was not percent-encoded may look like a part of the host or of the path: then nothing is told.
    """
    found = _URL.match(url)
    if found is None or "@" in url[found.end(2) :]:
        return {}
    scheme, authority, path = found.groups()
    hosts = authority.rpartition("@")[2].split(",")
    if not all(_HOST.fullmatch(host) for host in hosts):
        return {}
    place = {"pathname": path} if path not in ("", "/") else {}
    server: Schema = {"protocol": _PROTOCOLS.get(scheme, scheme), **place}
    names = ("broker" if number == 1 else f"broker-{number}" for number in range(1, len(hosts) + 1))
    return {name: {"host": host, **server} for name, host in zip(names, hosts, strict=True)}
