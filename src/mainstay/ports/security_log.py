"""The record of what concerns security: who logged in, who was refused, who was given a role, whose key was used."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal
from uuid import UUID

import msgspec

from mainstay.model.fields import field
from mainstay.model.personal import person
from mainstay.model.structs import Entity
from mainstay.ports.security_kinds import KINDS

Outcome = Literal["success", "failure", "denied"]


class SecurityEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event. ``kind`` is stable, dotted, and one of ``KINDS``; ``facts`` hold no secret.

    ``subject`` is whom it concerns, ``actor`` who did it; either may be unknown. Raises ``ValueError`` for a kind that
    is not in the list.
    """

    kind: str
    outcome: Outcome = "success"
    subject: UUID | None = None
    actor: UUID | None = None
    facts: Mapping[str, str | int] = MappingProxyType({})

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind} is no kind of security event: ports/security_kinds.py lists them")


_KEPT = person("subject", erase="keep", reason="the record of what concerns security is kept whole")


class SecurityRecord(Entity, append_only=True, person=_KEPT):
    """A security event as it is kept, for good: nothing changes or deletes one, in a SQL database no statement."""

    kind: str = field(max_length=60, index=True)
    outcome: str = field(max_length=10)  # success, failure, denied
    subject: UUID | None = field(default=None, index=True)
    actor: UUID | None = field(default=None, index=True)
    tenant: str | None = field(default=None, max_length=200)
    address: str = field(default="", max_length=100)
    operation: str = field(default="", max_length=200)
    request_id: str = field(default="", max_length=64)
    facts: dict[str, str] = field(default_factory=dict)


class SecurityLog(ABC):
    """Note security events. They can be added and read, and never changed or taken away.

    What is noted in a command is committed with it; what is noted in a call that ends in a refusal is kept all the
    same. Each is also an observation, so that it stands in the log at once.
    """

    @abstractmethod
    def note(self, event: SecurityEvent) -> None:
        """Note an event of the call that is under way; its address and request id go with it."""
