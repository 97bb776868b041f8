"""Forgetting one person: rows are deleted, emptied or kept as their entities say, with what tells of them elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from uuid import UUID

import msgspec

from mainstay.app.privacy.belongings import Claim, belongings, claims
from mainstay.app.privacy.erasure import Round
from mainstay.app.privacy.working import operator_unit
from mainstay.app.refusal import Refusal
from mainstay.app.seeding import command_of
from mainstay.kernel.bind import Bound
from mainstay.kernel.call import Call
from mainstay.kernel.providers import Unresolved
from mainstay.model.principal import Principal
from mainstay.model.problem import NotFound, ReferenceConflict, SerializationConflict, StaleVersion
from mainstay.ports.auditing import AuditRow
from mainstay.ports.blobs import Blobs
from mainstay.ports.observer import Notice
from mainstay.ports.security_log import SecurityEvent, SecurityLog
from mainstay.ports.unit_of_work import UnitOfWork

AT_ONCE = 1000
"""So many rows are changed in one transaction at most; of a person with more of them, several follow each other."""

_ATTEMPTS = 20


class ErasedRows(msgspec.Struct, kw_only=True):
    """What became of the rows of one entity: how many were deleted, emptied or kept, the last with the reason."""

    entity: str
    erase: str
    rows: int
    reason: str = ""


class Erasure(msgspec.Struct, kw_only=True):
    """What was done. ``waiting`` are events of the person that are still to be delivered: run it again after that."""

    person: UUID
    entities: list[ErasedRows]
    entries_deleted: int = 0
    entries_emptied: int = 0
    replies_emptied: int = 0
    messages_emptied: int = 0
    waiting: int = 0
    objects: int = 0
    transactions: int = 0

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.waiting == 0


async def erase(bound: Bound, person: UUID, blobs: Blobs | None = None, *, dry_run: bool = False) -> Erasure:
    """Erase a person, or only say what would be done. The store is open.

    Up to 1,000 rows go in one transaction; of more, each transaction is whole by itself, and who stops in between runs
    it again. Raises ``Refusal`` where a row that says of nobody whose it is refers to one that would be deleted, or
    objects are named and ``blobs`` is None.
    """
    claimed = claims(bound)
    rounds: list[Round] = []
    while not rounds or not (dry_run or rounds[-1].is_last):
        rounds.append(await _round(bound, person, claimed, blobs, dry_run=dry_run))
    done = _summed(person, claimed, rounds)
    if not dry_run:
        await _tell(bound, done)
    return done


async def _round(bound: Bound, person: UUID, claimed: Sequence[Claim], blobs: Blobs | None, *, dry_run: bool) -> Round:
    """Do one transaction, again where it met a command of the service."""
    most = bound.ports.store.capabilities.max_writes
    limit = inf if dry_run else AT_ONCE if most is None else max(1, most // 4)
    for left in reversed(range(_ATTEMPTS)):
        done = await _looked(bound, person, claimed, limit)
        unit = operator_unit(bound, "privacy erase", write=True)
        try:
            if not dry_run:
                await done.carry_out(unit, blobs)
                await _end_credentials(bound, unit, person)
                await unit.commit()
        except (SerializationConflict, StaleVersion, NotFound):
            if not left:
                raise
        except ReferenceConflict as conflict:
            raise Refusal(
                f"nothing more is erased: {conflict.detail}",
                "mainstay check names the entities that refer to rows of persons, and say nothing of their own",
            ) from conflict
        else:
            return done
        finally:
            await unit.rollback()
    raise AssertionError("unreachable")


async def _end_credentials(bound: Bound, unit: UnitOfWork, person: UUID) -> None:
    """Have what the person can call with hold no more: a token needs no row to be believed."""
    if bound.service.identity is not None:
        from mainstay.identity.sessions.epochs import raise_epoch

        await raise_epoch(unit, person)


async def _looked(bound: Bound, person: UUID, claimed: Sequence[Claim], limit: float) -> Round:
    """Look, in a snapshot that holds up nobody, for what is to be done next."""
    unit = operator_unit(bound, "privacy erase", write=False)
    unit.several()
    try:
        found = belongings(bound, person, claimed)
        await found.read(unit.transaction())
        done = Round(found, claimed, limit)
        await done.look(unit.transaction(), audited=AuditRow in bound.plans)
    finally:
        await unit.rollback()
    return done


def _summed(person: UUID, claimed: Sequence[Claim], rounds: Sequence[Round]) -> Erasure:
    return Erasure(
        person=person,
        entities=list(_entities(claimed, rounds)),
        entries_deleted=sum(len(each.entries_deleted) for each in rounds),
        entries_emptied=sum(len(each.entries_emptied) for each in rounds),
        replies_emptied=sum(len(each.replies) for each in rounds),
        messages_emptied=sum(len(each.messages) for each in rounds),
        waiting=rounds[-1].waiting,
        objects=sum(len(each.objects) for each in rounds),
        transactions=len(rounds),
    )


def _entities(claimed: Sequence[Claim], rounds: Sequence[Round]) -> Iterator[ErasedRows]:
    for claim in claimed:
        done = [len(each.rows[claim.entity]) for each in rounds]
        kept = claim.person.erase == "keep"
        yield ErasedRows(
            entity=f"{claim.plan.module}.{claim.plan.shape.name}",
            erase=claim.person.erase,
            rows=done[-1] if kept else sum(done),
            reason=claim.person.reason,
        )


async def _tell(bound: Bound, done: Erasure) -> None:
    """Note that it was done: in the log, and in the record of what concerns security where the service keeps one."""
    rows = {each.entity: each.rows for each in done.entities}
    text = f"the data of {done.person} was erased"
    bound.ports.observer.observe(Notice("info", "person_erased", text, {"person": str(done.person), "rows": rows}))
    event = SecurityEvent(
        kind="person.erased", subject=done.person, actor=Principal.system.id, facts={"rows": sum(rows.values())}
    )

    async def note_erasure(log: SecurityLog) -> None:
        log.note(event)

    try:
        bound.providers.resolver(SecurityLog)
    except Unresolved:
        return
    command = command_of(bound, "privacy:erase", note_erasure)
    await command.invoke(Call(operation=command, protocol="privacy", principal=Principal.system))
