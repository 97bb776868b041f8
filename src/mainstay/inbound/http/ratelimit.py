"""The fields RateLimit and RateLimit-Policy.

Their form is that of draft-ietf-httpapi-ratelimit-headers, revisions 08 to 10: two lists of structured fields
(RFC 9651), each item a policy's name as a string: ``RateLimit-Policy: "name";q=20;w=60`` with the quota and the window
in seconds, ``RateLimit: "name";r=19;t=3`` with the calls that remain and the seconds until the quota is whole again.
Retry-After is not written here: it belongs to the problem that refuses the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite

from mainstay.model.limits import Limit
from mainstay.ports.limiter import Verdict

_MAX_POLICIES = 1024
_MAX_INTEGER = 999_999_999_999_999  # RFC 9651, section 3.3.1

Fields = list[tuple[bytes, bytes]]
_Bytes = tuple[bytes, bytes]  # the item of RateLimit-Policy, the name of RateLimit


class RateLimitFields:
    """Write the fields of an answer; what depends on the limit alone is written once for each limit."""

    def __init__(self) -> None:
        # By identity: to hash a limit costs more than to write its fields. It is kept, or its identity could become
        # another's.
        self._written: dict[int, tuple[Limit, _Bytes]] = {}

    def __call__(self, verdicts: Sequence[Verdict]) -> Fields:
        """Return the fields for ``verdicts``, in their order; none for no verdict."""
        policies, standings = [], []
        for verdict in verdicts if len(verdicts) < 2 else _one_of_each_name(verdicts):
            policy, name = self._bytes(verdict.limit)
            policies.append(policy)
            standings.append(name + _standing(verdict))
        if not policies:
            return []
        return [(b"RateLimit-Policy", b", ".join(policies)), (b"RateLimit", b", ".join(standings))]

    def _bytes(self, limit: Limit) -> _Bytes:
        found = self._written.get(id(limit))
        if found is not None:
            return found[1]
        written = _policy(limit)
        if len(self._written) < _MAX_POLICIES:
            self._written[id(limit)] = (limit, written)
        return written


def rate_limit_fields(verdicts: Sequence[Verdict]) -> Fields:
    """Return the fields for ``verdicts``; a door that answers often keeps a ``RateLimitFields`` instead."""
    return RateLimitFields()(verdicts)


def _policy(limit: Limit) -> _Bytes:
    plain = "".join(each if " " <= each <= "~" else "?" for each in limit.name)
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    name = f'"{escaped}"'.encode("ascii")
    return name + b";q=%d;w=%d" % (limit.quota, limit.window), name


def _standing(verdict: Verdict) -> bytes:
    # Beside a Retry-After, t should name the same moment (the draft, on server behaviour).
    seconds = verdict.reset if verdict.allowed or not isfinite(verdict.retry_after) else verdict.retry_after
    return b";r=%d;t=%d" % (min(verdict.remaining, _MAX_INTEGER), min(ceil(seconds), _MAX_INTEGER))


def _one_of_each_name(verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
    """Leave out what the draft does not allow, a second policy of a name; the strictest stays."""
    if len({verdict.limit.name for verdict in verdicts}) == len(verdicts):
        return verdicts
    strictest: dict[str, Verdict] = {}
    for verdict in verdicts:
        other = strictest.get(verdict.limit.name)
        if other is None or (verdict.allowed, verdict.remaining) < (other.allowed, other.remaining):
            strictest[verdict.limit.name] = verdict
    return tuple(strictest.values())
