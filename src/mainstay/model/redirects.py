"""Where a browser may be sent: a target that came from a caller is followed only where a list allows it.

Browsers read what they are sent to by the URL standard (https://url.spec.whatwg.org), which forgives much: backslashes
are slashes, tabs and line breaks are dropped, ``https:host`` has a host. So a target is not taken apart and judged: it
has one of two forms to the letter, or it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mainstay.model.problem import Malformed

_MAX_TARGET = 2048  # characters
_PATH = re.compile(r"/(?:[!-.0-\[\]-~][!-\[\]-~]*)?")  # visible ASCII without a backslash; the second is no slash
_ABSOLUTE = re.compile(r"(https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?)(/[!-\[\]-~]*)?")
_ESCAPED_DOT = re.compile(r"%2e", re.IGNORECASE)
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


class RedirectRefused(Malformed, hint="Use a path of this service, or a place that its settings list."):
    """The place to go on to is not one that this service sends anybody to."""


class RedirectTargets:
    """The places that a browser may be sent to: paths of this service, and all below the listed origins.

    ``origins`` are as a browser writes them (RFC 6454): ``https://app.shop.example``. ``exact`` are whole targets, each
    compared byte for byte: those of OAuth clients (RFC 9700, section 2.1), and of apps with schemes of their own.
    ``paths`` says whether paths of this service are allowed. Raises ``ValueError`` for what is no origin.
    """

    __slots__ = ("_exact", "_origins", "_paths")

    def __init__(self, origins: Iterable[str] = (), *, exact: Iterable[str] = (), paths: bool = True) -> None:
        self._origins = frozenset(origins)
        self._exact = frozenset(exact)
        self._paths = paths
        for origin in self._origins:
            if _ORIGIN.fullmatch(origin) is None:
                raise ValueError(f"redirects: {origin!r}: expected an origin like https://app.shop.example")

    def check(self, target: str) -> str:
        """Return the target where it is allowed. Raises ``RedirectRefused``."""
        if len(target) <= _MAX_TARGET and (target in self._exact or self._allows(target)):
            return target
        raise RedirectRefused

    def _allows(self, target: str) -> bool:
        if self._paths and _PATH.fullmatch(target):
            return not _climbs(target)
        found = _ABSOLUTE.fullmatch(target)
        return found is not None and found[1] in self._origins and not _climbs(found[2] or "/")


def _climbs(target: str) -> bool:
    """Whether a path has dot segments: what they lead to depends on who resolves them."""
    path = re.split(r"[?#]", target, maxsplit=1)[0]
    return any(segment in (".", "..") for segment in _ESCAPED_DOT.sub(".", path).split("/"))
