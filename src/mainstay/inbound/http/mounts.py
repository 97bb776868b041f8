"""Mounted applications: which path belongs to which, longest first, and what a path may not say."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from mainstay.inbound.http.problems import PathMalformed
from mainstay.inbound.http.request import decode_segment
from mainstay.kernel.bound import BoundOperation

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiCallable = Callable[[Any, Any, Any], Awaitable[Any]]


class Mount(msgspec.Struct, kw_only=True, eq=False):
    """An ASGI 3 application under a path ("" is the root), with what is bound of it at start-up.

    ``bound`` names it to observers, has the stages that every request passes, and the seconds until an answer has
    begun. ``max_body`` is in bytes. ``state`` is what the application's lifespan left for its requests.
    """

    path: str
    app: AsgiCallable
    bound: BoundOperation
    max_body: int
    protocol: str = "asgi"
    state: dict[str, Any] | None = None
    visits: set[asyncio.Task[None]] = msgspec.field(default_factory=set)  # that have not ended yet


class Place(NamedTuple):
    """Where in a mounted application a path leads: decoded and as it came, both with the path of the mount."""

    mount: Mount
    path: str
    raw_path: bytes


class Mounts:
    """The mounted applications of a door. Segments are compared decoded, as those of routes are."""

    def __init__(self, mounts: Sequence[Mount]) -> None:
        self._by_path: Mapping[tuple[str, ...], Mount] = {_key(mount.path): mount for mount in mounts}
        self._deepest = max(map(len, self._by_path), default=0)

    def __bool__(self) -> bool:
        return bool(self._by_path)

    def find(self, path: bytes) -> Place | None:
        """Return the application with the longest path that leads there, or None.

        Raises ``PathMalformed`` for a path that cannot be decoded, or that would lead out of where it seems to lead.
        """
        raw = path.split(b"/")[1:]
        segments = [decode_segment(segment) for segment in raw]
        for size in range(min(self._deepest, len(segments)), -1, -1):
            mount = self._by_path.get(tuple(segments[:size]))
            if mount is not None:
                rest = segments[size:]
                _check(rest)
                below = "".join(f"/{segment}" for segment in rest)
                raw_below = b"".join(b"/" + segment for segment in raw[size:])
                return Place(mount, mount.path + below, quote(mount.path).encode() + raw_below)
        return None


def _key(path: str) -> tuple[str, ...]:
    return tuple(path.split("/")[1:])


def _check(segments: Sequence[str]) -> None:
    """Refuse what frameworks and file systems would resolve to another path (RFC 3986, section 5.2.4), or cut off."""
    for segment in segments:
        if "\0" in segment or any(part in (".", "..") for part in segment.replace("\\", "/").split("/")):
            raise PathMalformed("the path has a segment . or .. or a NUL")
