"""What an answer tells caches, where its operation declares it: Cache-Control (RFC 9111), Last-Modified, and the fields
for caches in front of the service: CDN-Cache-Control (RFC 9213) and the keys by which they are purged.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, timedelta
from enum import Enum
from typing import Any
from urllib.parse import quote

from mainstay.inbound.http.options import HttpOptions, KeyField
from mainstay.kernel.bound import BoundOperation
from mainstay.kernel.call import Call, Reply
from mainstay.model.caching import Caching
from mainstay.model.signature import Source

_FIELDS = {
    "surrogate-key": ("Surrogate-Key", " "),
    "cache-tag": ("Cache-Tag", ","),
    "edge-cache-tag": ("Edge-Cache-Tag", ","),
}
_MAX_KEYS = 8 << 10  # bytes of the field; the caches that read it take 16 KiB of all of them together
_SETTLED = timedelta(seconds=2)
_MAX_VALUE = 128  # characters of a parameter in a key
_KEY_SAFE = ":/-._~"


class CacheRules:
    """The header lines of one operation. ``varies`` names the header fields that it takes as parameters."""

    def __init__(self, caching: Caching, varies: tuple[str, ...], field: KeyField) -> None:
        names = dict.fromkeys((*varies, *caching.vary))
        vary = f"Vary: {', '.join(names)}\r\n" if names else ""
        self._caching = caching
        self._names = caching.key_names()
        self._field = None if field == "none" or not caching.is_shared else _FIELDS[field]
        self._private = f"{vary}Cache-Control: {_control(caching, shared=False)}\r\n".encode()
        self._shared = self._private
        if caching.is_shared:
            self._shared = f"{vary}Cache-Control: {_control(caching, shared=True)}\r\n".encode()
        if caching.cdn is not None:
            control = f"CDN-Cache-Control: {_targeted(caching)}\r\n"
            if field == "surrogate-key":
                control += f"Surrogate-Control: {_targeted(caching)}\r\n"
            self._shared += control.encode()

    def shares(self, call: Call, reply: Reply) -> bool:
        """Whether caches that serve many callers may keep an answer: it has nothing of one caller's then."""
        if not self._caching.is_shared or (call.credentials is not None and not self._caching.with_credentials):
            return False
        return not any(name.lower() == "set-cookie" for name, _ in reply.headers)

    def lines(self, call: Call, reply: Reply) -> bytes:
        """Return the lines of an answer."""
        own = any(name.lower() == "cache-control" for name, _ in reply.headers)
        shared = self.shares(call, reply)
        parts = [b"" if own else self._shared if shared else self._private]
        # A row that has just been changed may change again in the same second, which the date could not tell.
        settled = reply.modified is not None and call.operation.ports.clock.now() - reply.modified >= _SETTLED
        if reply.modified is not None and settled:
            from email.utils import format_datetime

            date = format_datetime(reply.modified.astimezone(UTC), usegmt=True)
            parts.append(f"Last-Modified: {date}\r\n".encode())
        if shared and self._field is not None:
            parts.append(self._keys(self._field, call, reply))
        return b"".join(parts)

    def _keys(self, field: tuple[str, str], call: Call, reply: Reply) -> bytes:
        name, separator = field
        own = [_filled(key, self._names, call.inputs) for key in self._caching.keys]
        text = separator.join(dict.fromkeys((*own, *reply.keys)))
        if len(text) > _MAX_KEYS:  # of so many rows, only their kinds are named
            text = separator.join(dict.fromkeys((*own, *(key for key in reply.keys if "/" not in key))))
        return f"{name}: {text}\r\n".encode() if text else b""


def rules_of(bound: BoundOperation, caching: Caching, options: HttpOptions) -> CacheRules:
    """Return the rules of an operation; the header fields that it takes as parameters vary its answers."""
    varies = tuple(p.header for p in bound.signature.of(Source.HEADER) if p.header)
    return CacheRules(caching, varies, options.cache_keys)


def _filled(key: str, names: tuple[str, ...], inputs: Mapping[str, Any]) -> str:
    """Return a key with the values of the parameters named in it; one that was not given stands for nothing."""
    for name in names:
        value = inputs.get(name)
        text = "" if value is None else str(value.value if isinstance(value, Enum) else value)
        key = key.replace(f"{{{name}}}", quote(text[:_MAX_VALUE], safe=_KEY_SAFE))
    return key


def _control(caching: Caching, *, shared: bool) -> str:
    public = shared and caching.shared is not None
    parts = ["public" if public else "private", f"max-age={caching.seconds}"]
    if public and caching.shared != caching.seconds:
        parts.append(f"s-maxage={caching.shared}")
    return ", ".join([*parts, *_stale(caching), *(["immutable"] if caching.immutable else [])])


def _targeted(caching: Caching) -> str:
    return ", ".join([f"max-age={caching.cdn}", *_stale(caching)])


def _stale(caching: Caching) -> list[str]:
    times = {
        "stale-while-revalidate": caching.stale_while_revalidate,
        "stale-if-error": caching.stale_if_error,
    }
    return [f"{name}={seconds}" for name, seconds in times.items() if seconds is not None]
