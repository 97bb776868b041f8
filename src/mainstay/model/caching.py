"""What caches may keep: declared for a query, told in Cache-Control and in the fields for shared caches (RFC 9111)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_KEY = re.compile(r"(?:[!-+\--9:-z|~]|\{[A-Za-z_][A-Za-z0-9_]*\})+")
_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_YEAR = 365 * 24 * 3600


class Caching(msgspec.Struct, frozen=True, kw_only=True):
    """How long an answer may be kept, and by whom. Times are in seconds."""

    seconds: int
    shared: int | None = None  # by caches that serve many callers; None: by the caller's own only
    cdn: int | None = None  # by the caches that this service runs itself
    with_credentials: bool = False
    stale_while_revalidate: int | None = None
    stale_if_error: int | None = None
    immutable: bool = False
    vary: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    @property
    def is_shared(self) -> bool:
        """Whether a cache that serves many callers may keep it."""
        return self.shared is not None or self.cdn is not None

    def key_names(self) -> tuple[str, ...]:
        """Return the names of parameters that stand in the keys."""
        return tuple(name for key in self.keys for name in _NAME.findall(key))


def cache(
    seconds: int,
    *,
    shared: bool | int = False,
    cdn: int | None = None,
    with_credentials: bool = False,
    stale_while_revalidate: int | None = None,
    stale_if_error: int | None = None,
    immutable: bool = False,
    vary: Sequence[str] = (),
    keys: Sequence[str] = (),
) -> Caching:
    """Let the answers of a query be kept for so many seconds: ``@store.query("GET /menu", ..., cache=cache(60))``.

    Only the caller's own cache may keep them (``private``), unless ``shared`` says that caches which serve many callers
    may: as long (True) or for another time in seconds. Calls with credentials stay private even then;
    ``with_credentials`` says that their answers are the same. ``cdn`` is the time of the caches that you run in front
    of the service and can purge (RFC 9213), ``keys`` are names beside those of the rows shown by which they are purged;
    parameters of the path and the query may stand in them in braces. ``stale_while_revalidate`` and ``stale_if_error``
    are those of RFC 5861. ``vary`` names request header fields that the answer depends on, beside those that the query
    takes as parameters. Raises ``ValueError`` for what no field can say.
    """
    times = {"seconds": seconds, "cdn": cdn, "stale_while_revalidate": stale_while_revalidate}
    times |= {"stale_if_error": stale_if_error, "shared": None if isinstance(shared, bool) else shared}
    for name, time in times.items():
        if time is not None and not (type(time) is int and 0 <= time <= _YEAR):
            raise ValueError(f"cache: {name}={time!r}: it is a number of seconds from 0 to {_YEAR} (a year)")
    for name in vary:
        if _TOKEN.fullmatch(name) is None or name == "*":
            raise ValueError(f"cache: vary={name!r} is no name of a header field")
    for key in keys:
        if _KEY.fullmatch(key) is None:
            raise ValueError(f"cache: keys={key!r}: a key is visible ASCII without spaces, commas and quotes")
    own = (seconds if shared else None) if isinstance(shared, bool) else shared
    if with_credentials and own is None and cdn is None:
        raise ValueError("cache: with_credentials= is for what is shared=")
    return Caching(
        seconds=seconds,
        shared=own,
        cdn=cdn,
        with_credentials=with_credentials,
        stale_while_revalidate=stale_while_revalidate,
        stale_if_error=stale_if_error,
        immutable=immutable,
        vary=tuple(vary),
        keys=tuple(keys),
    )
