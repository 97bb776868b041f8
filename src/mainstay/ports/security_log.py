"""The record of what concerns security: who logged in, who was refused, who was given a role, whose key was used."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal
from uuid import UUID

import msgspec

Outcome = Literal["success", "failure", "denied"]


class SecurityEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event. ``kind`` is stable and dotted (``log_in.password``, ``role.granted``); ``facts`` hold no secret.

    ``subject`` is whom it concerns, ``actor`` who did it; either may be unknown.
    """

    kind: str
    outcome: Outcome = "success"
    subject: UUID | None = None
    actor: UUID | None = None
    facts: Mapping[str, str | int] = MappingProxyType({})


class SecurityLog(ABC):
    """Note security events. They can be added and read, and never changed or taken away.

    What is noted in a command is committed with it; what is noted in a call that ends in a refusal is kept all the
    same. Each is also an observation, so that it stands in the log at once.
    """

    @abstractmethod
    def note(self, event: SecurityEvent) -> None:
        """Note an event of the call that is under way; its address and request id go with it."""
