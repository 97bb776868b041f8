"""What the dialects share: the checks of fields that no database could store."""

from __future__ import annotations

from enum import Enum

from mainstay.adapters.sql.dialect import MAX_DIGITS, TableFault
from mainstay.model.schema import Attribute, FieldKind

DOCUMENTS = frozenset({FieldKind.STRUCT, FieldKind.LIST, FieldKind.MAP, FieldKind.ANY})
"""The kinds that are stored as JSON text."""


def check_digits(attribute: Attribute) -> None:
    """Raise ``TableFault`` where a decimal cannot be stored exactly."""
    if not 0 <= attribute.places <= attribute.digits <= MAX_DIGITS:
        raise TableFault(
            f"digits={attribute.digits}, places={attribute.places} cannot be stored exactly: "
            f"use at most {MAX_DIGITS} digits, and no more places than digits"
        )


def enum_values(enumeration: type[Enum]) -> type:
    """Return the type of an enumeration's values. Raises ``TableFault`` where they have none in common."""
    held = {type(member.value) for member in enumeration}
    if held in ({int}, {str}):
        return held.pop()
    raise TableFault(f"the values of {enumeration.__name__} must be all strings or all integers to be stored")


def unstorable(kind: FieldKind) -> TableFault:
    """Return the fault of a field whose kind has no column."""
    return TableFault(f"a {kind.value} cannot be stored in a column")
