"""What identity notes of security beside calls: in the transaction of what it does."""

from __future__ import annotations

from uuid import UUID

from mainstay.kernel.records import rows_of
from mainstay.ports.security_log import SecurityEvent, SecurityRecord
from mainstay.ports.unit_of_work import UnitOfWork


async def record(unit: UnitOfWork, kind: str, account: UUID | None = None, **facts: str) -> None:
    """Add to the record of what concerns security, beside calls: by an account, or by the service itself."""
    event = SecurityEvent(kind=kind, subject=account, actor=account or unit.frame.who.id, facts=facts)
    row = SecurityRecord(
        kind=event.kind, outcome=event.outcome, subject=event.subject, actor=event.actor, facts=dict(facts)
    )
    await rows_of(unit, SecurityRecord).add(row)
