"""Soft deletion: rows that were deleted and are kept, in one field and two policies."""

from __future__ import annotations

from mainstay.model.conditions import Compare, Condition
from mainstay.model.policy import RowPolicy
from mainstay.model.principal import Principal

DELETED_AT = "deleted_at"
"""The field that says when a row was deleted; null in one that was not."""

KEPT = Compare(DELETED_AT, "eq", None)
GONE = Compare(DELETED_AT, "ne", None)


class Kept(RowPolicy, frozen=True):
    """Rows that were not deleted, whoever asks."""

    def reduce(self, who: Principal) -> Condition:  # noqa: ARG002 - the same for all
        return KEPT

    def __repr__(self) -> str:
        return "kept"


class Gone(RowPolicy, frozen=True):
    """Rows that were deleted, whoever asks."""

    def reduce(self, who: Principal) -> Condition:  # noqa: ARG002 - the same for all
        return GONE

    def __repr__(self) -> str:
        return "deleted"
