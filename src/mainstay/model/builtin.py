"""What a service takes on that Mainstay itself is made with: modules like a team's own, behind one declaration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from mainstay.model.module import Module


class BuiltIn(ABC):
    """A declaration that brings modules into the service that it is given to, for example its ``identity``."""

    @abstractmethod
    def modules(self) -> Sequence[Module]:
        """Return the modules, newly declared: a module belongs to one service."""
