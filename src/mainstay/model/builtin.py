"""What a service takes on that Mainstay itself is made with: modules like a team's own, behind one declaration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from mainstay.model.module import Module
from mainstay.model.policy import Policy
from mainstay.model.structs import Event


class BuiltIn(ABC):
    """A declaration that brings modules into the service that it is given to, for example its ``identity``."""

    @abstractmethod
    def modules(self) -> Sequence[Module]:
        """Return the modules, newly declared: a module belongs to one service."""

    def tells(self) -> Sequence[type[Event] | str]:
        """Return the events that are told beyond the service, by class or by name: for its contract."""
        return ()

    def narrowed(self, policy: Policy) -> Policy:
        """Return what ``allow=`` of an operation comes to in a service that has this: the same, unless it says more."""
        return policy
