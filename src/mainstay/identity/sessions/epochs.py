"""Epochs as rows: raised in the transaction of what they follow from, known to every replica within a second."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from mainstay.identity.sessions.entities import SubjectEpoch
from mainstay.kernel.records import Records, rows_of
from mainstay.model.conditions import Compare
from mainstay.model.problem import NotFound
from mainstay.ports.clock import Clock
from mainstay.ports.epochs import MAX_AGE, Epochs, RevocationsUnknown
from mainstay.ports.observer import Notice, Observer
from mainstay.ports.unit_of_work import UnitOfWork

SIGNING_KEYS = UUID(int=2)
"""The subject whose epoch tells that there are other signing keys."""

PERIOD = 0.3  # seconds between two looks
OVERLAP = timedelta(seconds=60)
"""How long before the last row that is known another may have been written that is not: for transactions that took as
long as a call may, on replicas whose clocks differ by as much as is forgiven."""

_MICROSECOND = timedelta(microseconds=1)
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)

Changed = Callable[[], Awaitable[None]]


def number_at(moment: datetime) -> int:
    """Return the number of an epoch that begins now."""
    return (moment - _BEGIN) // _MICROSECOND


async def epoch_of(unit: UnitOfWork, subject: UUID) -> int:
    """Return the number that what is issued to a subject now must carry."""
    try:
        return (await rows_of(unit, SubjectEpoch).one(subject=subject)).number
    except NotFound:
        return 0


async def raise_epoch(unit: UnitOfWork, subject: UUID) -> int:
    """Begin a new epoch of a subject, with the commit of this unit of work, and return its number."""
    rows, now = rows_of(unit, SubjectEpoch), unit.frame.clock.now()
    number = max(number_at(now), await epoch_of(unit, subject) + 1)
    await rows.upsert(SubjectEpoch(subject=subject, number=number, raised_at=now), on="subject")
    return number


class StoredEpochs(Epochs):
    """Looks for what was raised a few times a second, and at once when told of a commit.

    ``retention`` is how long what was issued can hold: what was raised before is forgotten. ``changed`` is awaited
    before it counts that there are other signing keys.
    """

    def __init__(self, clock: Clock, observer: Observer, *, retention: timedelta) -> None:
        self.generation: int = 0
        self.until: float = -1.0  # monotonic
        self._clock = clock
        self._observer = observer
        self._retention = retention
        self._records: Records | None = None
        self._changed: Changed | None = None
        self._floors: dict[UUID, int] = {}
        self._high: datetime | None = None  # of the rows known
        self._turn = asyncio.Lock()
        self._begun = 0  # how many looks have begun
        self._ended = 0  # the number of the last that has ended
        self._fault: RevocationsUnknown | None = None  # of that one
        self._waker = asyncio.Event()

    def open(self, records: Records, changed: Changed) -> None:
        """Say where the rows are, and who is told of other signing keys."""
        self._records = records
        self._changed = changed

    def floor(self, subject: UUID) -> int:
        return self._floors.get(subject, 0)

    async def refresh(self) -> None:
        """Look now, or wait for a look that begins after now: so what was committed before is known then."""
        wanted = self._begun + 1
        async with self._turn:
            if self._ended < wanted:
                await self._look()
            if self._fault is not None:
                raise self._fault

    async def _look(self) -> None:
        self._begun += 1
        moment = self._clock.monotonic()
        try:
            await self._learn(moment + MAX_AGE)
            self.until = moment + MAX_AGE
            self._fault = None
        except Exception as error:
            self._fault = RevocationsUnknown(retry_after=1.0)
            self._fault.__cause__ = error
        finally:
            self._ended = self._begun

    async def _learn(self, deadline: float) -> None:
        assert self._records is not None  # it is opened before it is asked
        now = self._clock.now()
        since = now - self._retention if self._high is None else self._high - OVERLAP
        rows = await self._records.all(SubjectEpoch, Compare("raised_at", "ge", since), deadline=deadline)
        found = {row.subject: row.number for row in rows if row.number > self._floors.get(row.subject, 0)}
        if SIGNING_KEYS in found and self._changed is not None:
            await self._changed()
        # A replica whose clock is ahead must not hide the rows of the others.
        self._high = min(max((row.raised_at for row in rows), default=self._high or since + OVERLAP), now)
        if found:
            self._floors.update(found)
            self.generation += 1

    def wake(self) -> None:
        """Look soon: another replica has committed something."""
        self._waker.set()

    async def run(self) -> None:
        """Keep what is known young until cancelled. That it cannot be had is told once, and its end too."""
        troubled = False
        while True:
            try:
                await self.refresh()
                if troubled:
                    self._observer.observe(Notice("info", "revocations_known", "revocations are known again", {}))
                troubled = False
            except RevocationsUnknown as fault:
                if not troubled:
                    text = "revocations cannot be read: calls whose credentials depend on them are answered 503"
                    self._observer.observe(Notice("error", "revocations_unknown", text, {}, fault.__cause__))
                troubled = True
            await self._rest()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(PERIOD):
                await self._waker.wait()
            self._waker.clear()
            await asyncio.sleep(PERIOD / 3)  # what is told many times is looked for once
        except TimeoutError:
            return

    def forget(self) -> None:
        """Forget what was raised so long ago that nothing can be left from before."""
        oldest = number_at(self._clock.now() - self._retention)
        kept = {subject: number for subject, number in self._floors.items() if number >= oldest}
        if len(kept) < len(self._floors):
            self._floors = kept
