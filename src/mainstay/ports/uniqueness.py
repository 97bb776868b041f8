"""How far the unique fields of an entity reach: over all rows, or over those of a tenant."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mainstay.model.schema import Shape


class Uniqueness(msgspec.Struct, frozen=True):
    """The unique fields of an entity. ``within`` is the field of its tenant: another's rows are not compared with."""

    fields: tuple[str, ...]
    within: str | None = None

    def columns(self, field: str) -> tuple[str, ...]:
        """Return the columns of which no two rows have the same values, so that a field is unique."""
        return (field,) if self.within in (None, field) else (self.within, field)

    @property
    def everywhere(self) -> frozenset[str]:
        """The fields of which a value names one row by itself."""
        return frozenset(self.fields) if self.within is None else frozenset()

    def told(self, columns: Sequence[str]) -> str:
        """Return the field that a conflict in these columns is about."""
        return next((name for name in columns if name in self.fields), columns[0])


def uniqueness(shape: Shape) -> Uniqueness:
    """Return how far the unique fields of a shape reach."""
    tenancy = shape.type.__mainstay_options__.tenancy
    within = None if tenancy is None else tenancy.field
    return Uniqueness(tuple(a.name for a in shape.attributes if a.spec.unique), within)
