"""Policies from Cedar files, beside those that are written in Python: ``from mainstay.cedar import cedar``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainstay.adapters.cedar.policies import cedar

__all__ = ["cedar"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from mainstay.adapters.cedar import policies

        return getattr(policies, name)
    raise AttributeError(f"module 'mainstay.cedar' has no attribute {name!r}")
