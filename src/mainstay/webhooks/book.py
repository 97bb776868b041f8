"""The book of deliveries, beside calls: what is due, what an attempt needs, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from mainstay.kernel.records import Records, rows_of
from mainstay.model.conditions import Among, Compare
from mainstay.model.inputs import Sort
from mainstay.model.operation import Isolation
from mainstay.model.problem import NotFound
from mainstay.ports.rows import Change, Query
from mainstay.ports.unit_of_work import UnitOfWork
from mainstay.webhooks.entities import (
    GONE,
    DeliveryState,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookSecret,
)
from mainstay.webhooks.secrets import context_of, live

MAX_LEFT_OUT = 500
BY_VERSION: Isolation = "read_committed"
"""What is changed here rests on no row but those that are changed, each in the version that was read."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an attempt: the status of the answer, or why there was none."""

    status: int | None = None
    cause: str | None = None
    seconds: float = 0.0
    wait: float = 0.0  # seconds that the receiver asks to be left alone for

    @property
    def delivered(self) -> bool:
        """Whether the receiver has taken the message: only 2xx says so."""
        return self.status is not None and 200 <= self.status <= 299


class Addressee(msgspec.Struct, frozen=True):
    """Where a message goes, and the secrets that it is signed with."""

    endpoint: WebhookEndpoint
    secrets: Sequence[str]


class DeliveryBook:
    """Reads and changes the rows of deliveries as the system."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def due(
        self, shares: Collection[int], full: Collection[UUID], running: Collection[UUID], limit: int
    ) -> list[WebhookDelivery]:
        """Return deliveries of some shares that are due, the longest first, but of endpoints that are full."""
        now = self._records.frame.clock.now()
        where = Compare("due_at", "le", now) & Among("share", tuple(shares))
        if full:
            where = where & ~Among("endpoint_id", tuple(full)[:MAX_LEFT_OUT])
        if running:
            where = where & ~Among("id", tuple(running))

        async def read(unit: UnitOfWork) -> list[WebhookDelivery]:
            query = Query(where=where, sort=(Sort("due_at"), Sort("id")), limit=limit)
            found: list[WebhookDelivery] = await unit.transaction().rows(WebhookDelivery).fetch(query)
            return found

        return await self._records.read(read)

    async def addressee(self, endpoint: UUID) -> Addressee | None:
        """Return where a message goes now; None where the endpoint is deleted, or disabled."""

        async def read(unit: UnitOfWork) -> Addressee | None:
            try:
                row = await rows_of(unit, WebhookEndpoint).get(endpoint)
            except NotFound:
                return None
            if row.disabled_at is not None:
                return None
            page = await rows_of(unit, WebhookSecret).page(endpoint_id=endpoint, limit=200)
            sealer, now = unit.frame.sealer, unit.frame.clock.now()
            opened = [sealer.open(one.sealed, context_of(endpoint)) for one in live(page.items, now)]
            return Addressee(row, [text.decode() for text in opened if text is not None])

        return await self._records.read(read)

    async def note(self, delivery: WebhookDelivery, outcome: Outcome, delay: float | None) -> WebhookEndpoint | None:
        """Put an attempt on record, and when the next one is; return the endpoint as it is then, None where it is gone.

        A delivery that was disabled or sent again meanwhile keeps what was said of it then, unless it has arrived.
        """

        async def write(unit: UnitOfWork) -> WebhookEndpoint | None:
            deliveries = rows_of(unit, WebhookDelivery)
            try:
                row = await deliveries.get(delivery.id)
                endpoint = await rows_of(unit, WebhookEndpoint).get(delivery.endpoint_id)
            except NotFound:
                return None
            attempt = WebhookAttempt(
                delivery_id=row.id,
                status=outcome.status,
                cause=outcome.cause,
                milliseconds=round(outcome.seconds * 1000),
            )
            await rows_of(unit, WebhookAttempt).add(attempt)
            await deliveries.update(row, **_changes(row, delivery, outcome, delay, unit.frame.clock.now()))
            return await _judged(unit, endpoint, outcome)

        return await self._records.change(write, isolation=BY_VERSION)

    async def give_up(self, delivery: WebhookDelivery, cause: str) -> None:
        """Have a delivery count as failed that cannot be attempted."""

        async def write(unit: UnitOfWork) -> None:
            rows = rows_of(unit, WebhookDelivery)
            try:
                row = await rows.get(delivery.id)
            except NotFound:
                return
            if row.state is DeliveryState.PENDING:
                await rows.update(row, state=DeliveryState.FAILED, due_at=None, last_cause=cause)

        await self._records.change(write, isolation=BY_VERSION)

    async def postpone(self, ids: Collection[UUID], seconds: float) -> None:
        """Look at deliveries again later: their endpoint rests."""

        async def write(unit: UnitOfWork) -> None:
            due = unit.frame.clock.now() + timedelta(seconds=seconds)
            where = Among("id", tuple(ids)) & ~Compare("due_at", "eq", None)
            await unit.transaction().rows(WebhookDelivery).apply(Change(where=where, changes={"due_at": due}))

        await self._records.change(write, isolation=BY_VERSION)

    async def purge(self, keep: float) -> None:
        """Delete what has ended and is past its time, and secrets that count no more."""

        async def write(unit: UnitOfWork) -> None:
            now = unit.frame.clock.now()
            ended = Compare("due_at", "eq", None) & Compare("updated_at", "lt", now - timedelta(seconds=keep))
            await unit.transaction().rows(WebhookDelivery).apply(Change(where=ended, changes=None))
            past = ~Compare("expires_at", "eq", None) & Compare("expires_at", "lt", now)
            await unit.transaction().rows(WebhookSecret).apply(Change(where=past, changes=None))

        await self._records.change(write)


def _changes(
    row: WebhookDelivery, sent: WebhookDelivery, outcome: Outcome, delay: float | None, now: datetime
) -> dict[str, object]:
    """Return what an attempt changes in its delivery."""
    told: dict[str, object] = {"last_status": outcome.status, "last_cause": outcome.cause}
    if outcome.delivered:
        return {**told, "state": DeliveryState.DELIVERED, "due_at": None, "attempts": row.attempts + 1}
    if row.state is not DeliveryState.PENDING or row.attempts != sent.attempts:
        return told
    if delay is None:
        return {**told, "state": DeliveryState.FAILED, "due_at": None, "attempts": row.attempts + 1}
    return {**told, "due_at": now + timedelta(seconds=delay), "attempts": row.attempts + 1}


async def _judged(unit: UnitOfWork, endpoint: WebhookEndpoint, outcome: Outcome) -> WebhookEndpoint:
    """Write down that an endpoint has begun to fail, or has recovered; most attempts change nothing of it."""
    rows = rows_of(unit, WebhookEndpoint)
    if outcome.delivered:
        if endpoint.failing_since is None:
            return endpoint
        return await rows.update(endpoint, failing_since=None, failing_status=None)
    if endpoint.failing_since is None or (outcome.status == GONE) != (endpoint.failing_status == GONE):
        since = endpoint.failing_since or unit.frame.clock.now()
        return await rows.update(endpoint, failing_since=since, failing_status=outcome.status)
    return endpoint
