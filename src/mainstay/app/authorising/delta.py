"""The authorisation delta: what callers may do in one version of a service, and not in another."""

from __future__ import annotations

from typing import Literal

import msgspec

from mainstay.app.authorising.matrix import PLAIN, Matrix

Direction = Literal["wider", "narrower", "other"]
"""More than before, less, or other rows than before: which of them is more, words do not tell."""

_PLACE = {"no": 0, "yes": 2}


class Difference(msgspec.Struct, kw_only=True, frozen=True):
    """One cell that differs; None where the old or the new version has no such thing."""

    kind: str
    name: str
    subject: str
    old: str | None
    new: str | None
    direction: Direction


def differences(old: Matrix, new: Matrix) -> list[Difference]:
    """Return the cells in which two matrices differ, in a stable order.

    An operation that is new is wider for whoever may call it. A field that has a policy in one version only was, or is,
    for whoever has the row. A role that one version does not know is to that one as none.
    """
    before = {cell[:3]: cell[3] for cell in old.cells()}
    after = {cell[:3]: cell[3] for cell in new.cells()}
    found = []
    for kind, name, subject in sorted({*before, *after}):
        was = before.get((kind, name, subject if subject in old.subjects else PLAIN))
        now = after.get((kind, name, subject if subject in new.subjects else PLAIN))
        absent = "yes" if kind == "field" else "no"
        if (was or absent) != (now or absent):
            direction = _direction(was or absent, now or absent)
            found.append(Difference(kind=kind, name=name, subject=subject, old=was, new=now, direction=direction))
    return found


def _direction(was: str, now: str) -> Direction:
    left, right = _PLACE.get(was, 1), _PLACE.get(now, 1)
    return "other" if left == right else "wider" if right > left else "narrower"
