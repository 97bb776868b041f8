"""The sender: works off what is due, many endpoints at once, and loses nothing when its process dies.

What is due stands in rows, and a row says no more of an attempt than what became of it: whoever takes over sends again
what was under way. The sending is divided into shares, each of which one process has under a lease. What is sent twice
where a lease passes on has the same ``webhook-id``: at least once is what is promised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

import msgspec

from mainstay.ports.clock import Clock
from mainstay.ports.http import HttpClient, HttpFailed
from mainstay.ports.ids import Entropy
from mainstay.ports.observer import Notice, Observer
from mainstay.webhooks.book import Addressee, DeliveryBook, Outcome
from mainstay.webhooks.entities import GONE, SHARES, WebhookDelivery, WebhookEndpoint
from mainstay.webhooks.lanes import Lanes
from mainstay.webhooks.messages import headers_of
from mainstay.webhooks.rules import WebhookRules
from mainstay.webhooks.schedule import asked_wait, delay_after
from mainstay.webhooks.shares import Shares

BATCH = 64
TOTAL = 128
"""Attempts under way in one process."""

POLL = 0.5  # seconds between looks when nobody wakes the sender
CHORES = 600.0
MAX_ANSWER = 256 * 1024
"""Bytes of an answer. Nothing of it is kept; one that is longer counts as none."""

GRACE = 3.0
"""Seconds that attempts under way are given at the end of the process."""


class SenderParts(msgspec.Struct, frozen=True, kw_only=True):
    """What a sender stands on. ``disable`` is the operation by which an endpoint is disabled."""

    book: DeliveryBook
    http: HttpClient
    rules: WebhookRules
    clock: Clock
    entropy: Entropy
    observer: Observer
    shares: Shares
    disable: Callable[[UUID], Awaitable[None]]


class Sender:
    """Sends the messages of one service's database."""

    def __init__(self, parts: SenderParts) -> None:
        self._parts = parts
        self._lanes = Lanes(parts.clock.monotonic)
        self._running: dict[UUID, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._stopping = False
        self._unrecorded: Exception | None = None  # why an attempt was not put on record, the last time
        self._chores_at = parts.clock.monotonic() + CHORES * (0.5 + parts.entropy.uniform())

    def wake(self) -> None:
        """Say that there is something to send."""
        self._wake.set()

    def stop(self) -> None:
        """Begin no more attempts."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Send until stopped. Attempts under way are given a moment; what does not end in it is sent again later."""
        try:
            while not self._stopping:
                await self._turn()
                await self._pause()
        finally:
            await self._end()

    async def send_due(self) -> int:
        """Send everything that is due now, wait for it, and return how many attempts that took: for tests.

        Raises what an attempt could not be made, or put on record, for.
        """
        attempts = 0
        while begun := await self._begin(range(SHARES)):
            attempts += begun
            if self._running:
                await asyncio.wait(self._running.values())
            error, self._unrecorded = self._unrecorded, None
            if error is not None:
                raise error
        return attempts

    async def _turn(self) -> None:
        try:
            await self._parts.shares.keep()
            while await self._begin(self._parts.shares.held()):
                pass
            if self._parts.clock.monotonic() >= self._chores_at:
                self._chores_at = self._parts.clock.monotonic() + CHORES * (0.5 + self._parts.entropy.uniform())
                await self._parts.book.purge(self._parts.rules.keep_seconds)
        except Exception as error:
            # Whatever it was (a full disk, a database that is away), what is due stays due: it is tried again.
            text = "webhooks cannot be sent now; trying again"
            self._parts.observer.observe(Notice("warning", "webhooks_wait", text, {}, error))

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(POLL):
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._wake.clear()

    async def _begin(self, shares: Collection[int]) -> int:
        """Begin attempts at what is due, and return how many: none where nothing is, or no more can be under way."""
        room = min(BATCH, TOTAL - len(self._running))
        if room <= 0 or not shares or self._stopping:
            return 0
        found = await self._parts.book.due(shares, self._lanes.full(), self._running, room)
        begun, resting = 0, []
        for delivery in found:
            if self._lanes.begin(delivery.endpoint_id):
                task = asyncio.create_task(self._attempt(delivery), name=f"mainstay-webhook-{delivery.id}")
                self._running[delivery.id] = task
                task.add_done_callback(partial(self._ended, delivery.id))
                begun += 1
            elif self._lanes.rest_of(delivery.endpoint_id):
                resting.append(delivery)
        if resting:
            await self._parts.book.postpone([d.id for d in resting], self._lanes.rest_of(resting[0].endpoint_id))
        return begun

    def _ended(self, delivery: UUID, _task: asyncio.Task[None]) -> None:
        del self._running[delivery]
        self._wake.set()

    async def _attempt(self, delivery: WebhookDelivery) -> None:
        """Make one attempt and put it on record. What fails here itself leaves the delivery due, after a rest."""
        success: bool | None = None
        outcome = Outcome()
        try:
            addressee = await self._parts.book.addressee(delivery.endpoint_id)
            if addressee is None or not addressee.secrets:
                await self._parts.book.give_up(delivery, "disabled" if addressee is None else "secret_unreadable")
                return
            outcome = await self._post(delivery, addressee)
            success = outcome.delivered
            await self._record(delivery, outcome)
        except Exception as error:
            success, self._unrecorded = False, error
            facts = {"delivery": str(delivery.id), "endpoint": str(delivery.endpoint_id)}
            text = "an attempt at a webhook could not be put on record; it is made again"
            self._parts.observer.observe(Notice("error", "webhook_unrecorded", text, facts, error))
        finally:
            self._lanes.end(delivery.endpoint_id, success=success, seconds=outcome.seconds, wait=outcome.wait)

    async def _post(self, delivery: WebhookDelivery, addressee: Addressee) -> Outcome:
        """Send a message. Why there was no answer is for the log: who registers an address must not learn it."""
        clock, rules = self._parts.clock, self._parts.rules
        body, begun, now = delivery.payload.encode(), clock.monotonic(), clock.now()
        try:
            answer = await self._parts.http.request(
                "POST",
                addressee.endpoint.url,
                headers=headers_of(delivery.message_id, now, body, addressee.secrets),
                body=body,
                seconds=rules.seconds,
                max_body=MAX_ANSWER,
                redirects=0,
            )
        except HttpFailed:
            return Outcome(cause="no_answer", seconds=clock.monotonic() - begun)
        wait = asked_wait(answer.status, answer.headers, now)
        outcome = Outcome(status=answer.status, seconds=clock.monotonic() - begun, wait=wait)
        return outcome if outcome.delivered else msgspec.structs.replace(outcome, cause="refused")

    async def _record(self, delivery: WebhookDelivery, outcome: Outcome) -> None:
        delay = delay_after(delivery.attempts + 1, self._parts.entropy.uniform())
        if delay is not None:
            delay = max(delay, outcome.wait)
        endpoint = await self._parts.book.note(delivery, outcome, delay)
        if endpoint is not None and endpoint.disabled_at is None and self._is_done_with(endpoint, outcome):
            await self._parts.disable(endpoint.id)

    def _is_done_with(self, endpoint: WebhookEndpoint, outcome: Outcome) -> bool:
        """Whether nothing is to be sent to an endpoint any more, by its own word or because it has failed for long."""
        since: datetime | None = endpoint.failing_since
        if outcome.delivered or since is None:
            return False
        failing = (self._parts.clock.now() - since).total_seconds()
        return outcome.status == GONE or failing >= self._parts.rules.disable_seconds

    async def _end(self) -> None:
        tasks: Sequence[asyncio.Task[None]] = list(self._running.values())
        try:
            if tasks:
                _, late = await asyncio.wait(tasks, timeout=GRACE)
                for task in late:
                    task.cancel()
                await asyncio.wait(tasks)
        finally:
            await self._release()

    async def _release(self) -> None:
        try:
            await self._parts.shares.release()
        except Exception as error:
            text = "the sending of webhooks could not be handed over; another process goes on when the lease ends"
            self._parts.observer.observe(Notice("warning", "webhooks_kept", text, {}, error))
