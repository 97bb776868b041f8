"""Webhooks put together: what their doors stand on, and who sends; and the receipts of those that are taken."""

from __future__ import annotations

import asyncio
import copy
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from mainstay.app.authenticating import Companion
from mainstay.app.issuers import http_client
from mainstay.kernel.call import Call
from mainstay.kernel.dispatch import dispatch
from mainstay.kernel.flow.receipts import purge_receipts, takes_once
from mainstay.kernel.providers import Resolver
from mainstay.kernel.scope import Scope
from mainstay.model.principal import Principal
from mainstay.model.problem import Problem
from mainstay.model.service import Provision, Service
from mainstay.ports.http import HttpClient
from mainstay.ports.observer import Notice, Observer

if TYPE_CHECKING:
    from mainstay.adapters.outgoing.client import GuardedHttp
    from mainstay.app.settings import Settings
    from mainstay.kernel.bind import Bound
    from mainstay.kernel.bound import Ports
    from mainstay.ports.clock import Clock
    from mainstay.webhooks.declaration import Webhooks
    from mainstay.webhooks.sender import Sender
    from mainstay.webhooks.telling import Occasion

PURGE_SECONDS = 600.0
"""How often receipts that are past their time are deleted."""


def webhooks_of(service: Service) -> Webhooks | None:
    """Return the declaration of a service's webhooks; None for one without, which loads nothing of them."""
    if service.webhooks is None:
        return None
    from mainstay.webhooks.declaration import Webhooks

    return service.webhooks if isinstance(service.webhooks, Webhooks) else None


def with_webhooks(service: Service) -> Service:
    """Return the service with what the doors of its webhooks are put together from, where it has them."""
    declared = webhooks_of(service)
    if declared is None:
        return service
    made = [
        Provision(type=part, factory=part, scope="call", outside=False, source=declared.source)
        for part in declared.parts()
    ]
    changed = copy.copy(service)
    changed.provisions = [*service.provisions, *made]
    return changed


class NoWebhooks(msgspec.Struct, frozen=True):
    """The parts of a service without webhooks: nothing."""

    known: Mapping[Any, Resolver] = {}
    companions: Sequence[Companion] = ()

    def attach(self, bound: Bound) -> None:
        """There is nothing to be checked."""

    async def send_due(self) -> int:
        """There is nothing to be sent."""
        return 0


def make_webhooks(
    service: Service,
    settings: Settings,
    at_hand: Mapping[Any, Resolver],
    guarded: GuardedHttp | None = None,
    *,
    clock: Clock,
    observer: Observer,
) -> WebhookParts | NoWebhooks:
    """Return the parts of a service with webhooks.

    They send with a client of their own where what is at hand is the service's ``guarded`` one: so that slow receivers
    take no connections from its other calls, nor those from them.
    """
    declared = webhooks_of(service)
    if declared is None:
        return NoWebhooks()
    http, own = http_client(at_hand), None
    if guarded is not None and http is guarded:
        from mainstay.app.outgoing import make_http
        from mainstay.webhooks.sender import TOTAL

        http = own = make_http(service, settings, clock, observer, connections=TOTAL)
    return WebhookParts(declared, http, own, production=settings.is_production)


class WebhookParts:
    """What webhooks are made of in one process: the rules, the sender, and how use cases get what they ask for."""

    def __init__(self, declared: Webhooks, http: HttpClient, own: GuardedHttp | None, *, production: bool) -> None:
        from mainstay.webhooks.rules import WebhookRules
        from mainstay.webhooks.telling import Occasion

        self._declared = declared
        self._http = http
        self._own = own
        self._occasion_of = Occasion
        self._sender: Sender | None = None
        self.rules: WebhookRules = declared.rules(production=production)
        self.known: Mapping[Any, Resolver] = {
            WebhookRules: Resolver(make=lambda _scope: self.rules, shared=True),
            Occasion: Resolver(make=self._occasion),
        }
        self.companions: Sequence[Companion] = (self._running,)

    def _occasion(self, scope: Scope) -> Occasion:
        """Return what a call is made for, and have the sender look for what is due once its outcome stands."""
        if scope.stack is None:
            scope.stack = AsyncExitStack()
        scope.stack.callback(self._wake)
        heard = scope.call.message
        return self._occasion_of(scope.call.target, None if heard is None else heard.message)

    def _wake(self) -> None:
        if self._sender is not None:
            self._sender.wake()

    def attach(self, bound: Bound) -> None:
        """Learn the names of the events that are told, and what is sent with. What cannot be told is a fault."""
        from mainstay.kernel.records import Records
        from mainstay.ports.unit_of_work import Frame
        from mainstay.webhooks.book import DeliveryBook
        from mainstay.webhooks.doors import DISABLE
        from mainstay.webhooks.sender import Sender, SenderParts
        from mainstay.webhooks.shares import Shares

        told = [name for name, consumers in bound.consumers.items() for one in consumers if self._is_ours(one)]
        self.rules.events = tuple(sorted(set(told)))
        self._check(bound, told)
        if bound.faults:
            return
        ports = bound.ports
        frame = Frame(Principal.system, "webhooks", ports.clock, ports.ids, ports.sealer, bound.plans, ports.store)
        records = Records(frame)
        holder = f"{socket.gethostname()}:{os.getpid()}:{ports.ids.token()}"
        operation = next(one for one in bound.operations if one.operation.name == DISABLE)
        self._sender = Sender(
            SenderParts(
                book=DeliveryBook(records),
                http=self._http,
                rules=self.rules,
                clock=ports.clock,
                entropy=ports.entropy,
                observer=ports.observer,
                shares=Shares(records, holder[:200]),
                disable=partial(_disable, operation, ports),
            )
        )

    def _is_ours(self, consumer: Any) -> bool:
        from mainstay.webhooks.telling import tell

        return consumer.operation.function is tell

    def _check(self, bound: Bound, told: Sequence[str]) -> None:
        blueprint, source = bound.blueprint, self._declared.source
        for name in sorted({name for name in told if told.count(name) > 1}):
            blueprint.fault(source, "Webhooks", f"{name} is named twice in events=", "name it once")
        field = self._declared.to
        for name in self.rules.events:
            event = blueprint.events.get(name)
            if field not in ("", "*") and event is not None and field not in event.__struct_fields__:
                hint = "name a field that all of them have: it holds the id of whose the event is"
                blueprint.fault(source, "Webhooks", f'to="{field}": {name} has no such field', hint)

    async def send_due(self) -> int:
        """Send everything that is due now, and return how many attempts that took: for tests."""
        return 0 if self._sender is None else await self._sender.send_due()

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        """Send until the block ends."""
        assert self._sender is not None  # a service with faults is not started
        sender = self._sender
        async with AsyncExitStack() as stack:
            if self._own is not None:
                stack.push_async_callback(self._own.aclose)
                await self._own.prepare()
            task = asyncio.create_task(sender.run(), name="mainstay-webhooks")
            try:
                yield
            finally:
                sender.stop()
                await asyncio.wait({task})


async def _disable(operation: Any, ports: Ports, endpoint: UUID) -> None:
    """Disable an endpoint as the service itself, through the pipeline: what it tells is committed with it."""
    call = Call(
        operation=operation,
        protocol="webhooks",
        method=operation.operation.method,
        target=operation.operation.path,
        principal=Principal.system,
        request_id=ports.ids.token(),
        arguments={"endpoint_id": str(endpoint)},
    )
    outcome = await dispatch(call)
    if isinstance(outcome, Problem):
        facts = {"endpoint": str(endpoint), "code": outcome.code}
        text = "an endpoint of webhooks could not be disabled; it is tried again"
        ports.observer.observe(Notice("warning", "webhook_not_disabled", text, facts))


def purging(bound: Bound) -> Sequence[Companion]:
    """Return what keeps the receipts of a service few that takes webhooks."""
    if not any(takes_once(one.operation) for one in bound.operations):
        return ()
    return (partial(_purging, bound.ports),)


@asynccontextmanager
async def _purging(ports: Ports) -> AsyncIterator[None]:
    async def purge() -> None:
        while True:
            await ports.clock.sleep(PURGE_SECONDS * (0.5 + ports.entropy.uniform()))
            try:
                await purge_receipts(ports)
            except Exception as error:
                text = "receipts of webhooks could not be deleted that are past their time; it is tried again"
                ports.observer.observe(Notice("warning", "receipts_kept", text, {}, error))

    task = asyncio.create_task(purge(), name="mainstay-receipts")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
