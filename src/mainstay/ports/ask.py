"""Asking: how a module reads from another, in this process or beyond it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class Ask(ABC):
    """``await ask(find_product, sku="A-1")``: run another module's query as the same caller, through its own policies.

    The query is given as its function or as ``"module.name"``. What it raises is raised here.
    """

    @abstractmethod
    async def __call__(self, query: Any, /, **arguments: Any) -> Any:
        """Return what the query answers."""
