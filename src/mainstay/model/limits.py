"""Rate limits as a team declares them: ``limit("20/minute")``."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_FORM = re.compile(r"([1-9][0-9]{0,8})\s*/\s*(?:([1-9][0-9]{0,4})\s*)?(second|minute|hour|day)s?")

Scope = Literal["principal", "address", "operation", "global"]
Algorithm = Literal["token-bucket", "sliding-window"]


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """At most ``quota`` calls in ``window`` seconds for each key of ``by``.

    A token bucket holds ``burst`` calls (``quota`` unless given) and refills evenly; a sliding window counts the calls
    of the last ``window`` seconds, weighting the window before by its overlap.
    """

    name: str
    quota: int
    window: int
    by: Scope = "principal"
    algorithm: Algorithm = "token-bucket"
    burst: int = 0


def limit(
    rate: str,
    *,
    by: Scope = "principal",
    algorithm: Algorithm = "token-bucket",
    burst: int | None = None,
    name: str | None = None,
) -> Limit:
    """Declare a rate limit: ``limit("20/minute")``, ``limit("5/10 seconds", by="address")``.

    ``by`` says what is counted: each principal (an anonymous caller counts by address), each address (IPv6 by /64), the
    operation as a whole, or all calls of the service. Raises ``ValueError`` where the rate is not of the form
    ``COUNT/[N ]second|minute|hour|day``.
    """
    found = _FORM.fullmatch(rate.strip())
    if found is None:
        raise ValueError(f'limit("{rate}"): expected COUNT/[N ]second|minute|hour|day, for example "20/minute"')
    quota = int(found[1])
    window = int(found[2] or 1) * _UNITS[found[3]]
    if burst is not None and burst < 1:
        raise ValueError(f"limit: burst is {burst}, expected at least 1")
    return Limit(
        name=name or f"{by}-{quota}-{window}",
        quota=quota,
        window=window,
        by=by,
        algorithm=algorithm,
        burst=burst or quota,
    )
