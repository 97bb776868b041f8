"""SQL for where verbs do not reach, and types and steps of migration files. What it names is imported at its use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainstay.adapters.sql import steps, types
    from mainstay.adapters.sql.reading import Restricted, Sql, Unrestricted

__all__ = ["Restricted", "Sql", "Unrestricted", "steps", "types"]


def __getattr__(name: str) -> Any:
    if name == "types":
        from mainstay.adapters.sql import types

        return types
    if name == "steps":
        from mainstay.adapters.sql import steps

        return steps
    if name in __all__:
        from mainstay.adapters.sql import reading

        return getattr(reading, name)
    raise AttributeError(f"module 'mainstay.sql' has no attribute {name!r}")
