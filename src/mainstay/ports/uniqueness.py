"""How far the unique fields of an entity reach: over all rows, or over those of a tenant, or those not deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mainstay.model.schema import Shape
from mainstay.model.soft_deletion import DELETED_AT


class Uniqueness(msgspec.Struct, frozen=True):
    """The unique fields of an entity.

    ``within`` is the field of its tenant: another's rows are not compared with. ``unless`` is the field that says when
    a row was deleted: one that was is not compared with either.
    """

    fields: tuple[str, ...]
    within: str | None = None
    unless: str | None = None

    def columns(self, field: str) -> tuple[str, ...]:
        """Return the columns of which no two rows have the same values, so that a field is unique."""
        return (field,) if self.within in (None, field) else (self.within, field)

    @property
    def everywhere(self) -> frozenset[str]:
        """The fields of which a value names one row by itself."""
        return frozenset(self.fields) if self.within is None and self.unless is None else frozenset()

    def value(self, row: Any, field: str) -> Any:
        """Return what is unique of a row, or None where there is nothing: those without a value are all distinct."""
        own = getattr(row, field)
        if own is None or (self.unless is not None and getattr(row, self.unless) is not None):
            return None
        return own if self.within in (None, field) else (getattr(row, self.within), own)

    def told(self, columns: Sequence[str]) -> str:
        """Return the field that a conflict in these columns is about."""
        return next((name for name in columns if name in self.fields), columns[0])


def uniqueness(shape: Shape) -> Uniqueness:
    """Return how far the unique fields of a shape reach."""
    options = shape.type.__mainstay_options__
    return Uniqueness(
        tuple(a.name for a in shape.attributes if a.spec.unique),
        None if options.tenancy is None else options.tenancy.field,
        DELETED_AT if options.soft_delete else None,
    )
