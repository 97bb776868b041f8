"""What a call leaves to be done when its outcome stands: others are told, and a family that was misused ends."""

from __future__ import annotations

from uuid import UUID

import msgspec

from mainstay.identity.sessions.epochs import raise_epoch
from mainstay.ports.unit_of_work import UnitOfWork


class Aftermath(msgspec.Struct):
    """The aftermath of one call, which whoever ends something in it shares.

    ``raised`` says that an epoch was, so that this replica looks before it answers; ``reused`` is the session of which
    a spent refresh token came again.
    """

    raised: bool = False
    reused: UUID | None = None

    async def outdate(self, unit: UnitOfWork, subject: UUID) -> None:
        """Have what was issued to a subject hold no more, on every replica within a second of the commit."""
        await raise_epoch(unit, subject)
        self.raised = True
