"""SQL for where verbs do not reach, and the column types of migration files. What it names is imported at its use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainstay.adapters.sql import types

__all__ = ["types"]


def __getattr__(name: str) -> Any:
    if name == "types":
        from mainstay.adapters.sql import types

        return types
    raise AttributeError(f"module 'mainstay.sql' has no attribute {name!r}")
