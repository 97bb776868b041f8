"""Assembly: a service and its settings become a running application. Nowhere else do adapters meet."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.local.entropy import SystemEntropy
from mainstay.adapters.local.ids import SystemIds
from mainstay.app import readiness
from mainstay.app.authenticating import Companion, check_tokens, make_sealer, own_verifier, trusted_verifier
from mainstay.app.brokers import make_broker
from mainstay.app.contracts import check_contracts
from mainstay.app.credentials import resolve
from mainstay.app.delivering import delivering, ring_others
from mainstay.app.identity import make_identity
from mainstay.app.identity_accounts import with_accounts
from mainstay.app.mounting import make_mounts, note_mounts
from mainstay.app.objects import make_blobs
from mainstay.app.outgoing import http_resolvers, make_http, uses_http
from mainstay.app.privacy.keys import field_cipher
from mainstay.app.readiness import Readiness
from mainstay.app.refusal import Refusal
from mainstay.app.registry import find
from mainstay.app.renewing import Renewal, make_renewal
from mainstay.app.reserved import note_reserved
from mainstay.app.settings import Settings
from mainstay.app.shared import Shared, note_signals, shared_dependencies, shared_ports
from mainstay.app.stores import watched_store
from mainstay.app.webhooks import make_webhooks, purging, with_webhooks
from mainstay.inbound.http.lifespan import MountFailed, living
from mainstay.inbound.http.mounts import Mount
from mainstay.kernel.bind import Bound, bind
from mainstay.kernel.bound import Ports
from mainstay.kernel.flow.worker import EventWorker
from mainstay.kernel.providers import Resolver
from mainstay.kernel.validate import DEFAULTS, InputLimits
from mainstay.model.faults import StartupFailed
from mainstay.model.problem import Unavailable
from mainstay.model.service import Service
from mainstay.ports.blobs import Blobs
from mainstay.ports.cache import Cache
from mainstay.ports.http import HttpClient
from mainstay.ports.limiter import Limiter
from mainstay.ports.observer import Notice, Observer
from mainstay.ports.recent_writes import RecentWrites
from mainstay.ports.sealer import Sealer
from mainstay.ports.signals import Signals
from mainstay.ports.store import StoreUnusable

if TYPE_CHECKING:
    from mainstay.adapters.outgoing.client import GuardedHttp
    from mainstay.app.identity_tokens import SessionParts
    from mainstay.ports.clock import Clock
    from mainstay.ports.tokens import TokenVerifier

HELD_SECONDS = 0.1
"""How long a transaction may wait on the outside in development before a warning says so."""


class Place(msgspec.Struct, frozen=True):
    """Where an application runs: its number among the workers of a host, and where they meet (None: it is alone)."""

    index: int = 0
    run: Path | None = None


class Application:
    """A service with its adapters, ready to be started: an asynchronous context manager.

    Entering opens the store, makes what the service provides and begins to deliver events; leaving ends it in reverse.
    """

    def __init__(
        self,
        settings: Settings,
        bound: Bound,
        place: Place,
        http: GuardedHttp | None = None,
        renewal: Renewal | None = None,
        sessions: SessionParts | None = None,
        companions: Sequence[Companion] = (),
        shared: Shared | None = None,
    ) -> None:
        self.settings = settings
        self.sessions = sessions  # of a service with identity
        self.bound = bound
        self.place = place
        self.stopping: bool = False
        self.worker: EventWorker | None = None  # where this process works on events
        self.http = http  # calls to the outside
        self.renewal = renewal  # of secrets that are kept elsewhere
        self.mounts: list[Mount] = make_mounts(bound, max_body=settings.http.max_upload)
        self.shared = shared or Shared()  # what replicas share
        self._companions = companions
        self._stack = AsyncExitStack()
        self._started = False

    @property
    def ports(self) -> Ports:
        """The adapters."""
        return self.bound.ports

    @property
    def service(self) -> Service:
        """What the team declared."""
        return self.bound.service

    async def __aenter__(self) -> Application:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, *, deliver: bool = True, work: bool | None = None) -> None:
        """Open everything, each after what it rests on; where one part fails, those before it are closed again.

        ``deliver=False`` leaves events where they are, for who only wants to work on the database. ``work`` says
        whether this process works on events; None: as ``worker.inside`` has it.
        """
        async with AsyncExitStack() as stack:
            await self._open_store()
            stack.push_async_callback(self.ports.store.stop)
            if self.http is not None:
                stack.push_async_callback(self.http.aclose)
                if deliver and uses_http(self.bound, self.settings):
                    await self.http.prepare()
            close = getattr(self.ports.limiter, "close", None)
            if close is not None:
                stack.callback(close)
            stack.push_async_callback(self.bound.providers.stop)
            await self.bound.providers.start()
            if deliver:
                for part in self.shared.running:
                    await stack.enter_async_context(part())
                for companion in self._companions:
                    await stack.enter_async_context(companion())
                if self.renewal is not None:
                    await stack.enter_async_context(self.renewal.running())
                if self.sessions is not None:
                    await stack.enter_async_context(self.sessions.running(self.bound))
                if self.settings.worker.inside if work is None else work:
                    self.worker = await stack.enter_async_context(delivering(self))
                else:
                    ring_others(self)
                await stack.enter_async_context(self._mounted())
            self._stack = stack.pop_all()
        self._started = True

    async def _open_store(self) -> None:
        """Open the store, and say what it lacks. Raises ``Refusal`` where it cannot be used, or reached."""
        store = self.ports.store
        try:
            await store.start(self.bound.tables)
        except StoreUnusable as fault:
            raise Refusal(fault.message, fault.remedy) from fault
        except Unavailable as away:
            cause = away.__cause__
            why = f": {type(cause).__name__}: {cause}" if cause is not None else ""
            raise Refusal(f"the database cannot be opened{why}", "is it running, and is database.url right?") from away
        lacks = store.capabilities.lacks()
        if lacks:
            text = "the store cannot do all that others can: " + "; ".join(lacks)
            self.ports.observer.observe(Notice("info", "store_lacks", text, {"lacks": list(lacks)}))

    async def stop(self) -> None:
        """Close everything in reverse order. What was begun is ended first."""
        self.stopping = True
        self._started = False
        await self._stack.aclose()

    @asynccontextmanager
    async def _mounted(self) -> AsyncIterator[None]:
        """Have the mounted applications live until the block ends. Raises ``Refusal`` where one does not start."""
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(living(self.mounts, self.ports.observer))
            except MountFailed as failed:
                raise Refusal(str(failed), "mend the application, or mount it no more") from failed
            yield

    def ready(self) -> Readiness:
        """Return whether calls should be sent here, with the reasons."""
        return readiness.judge(self)

    @property
    def started(self) -> bool:
        """Whether everything is open."""
        return self._started


def assemble(
    service: Service,
    settings: Settings,
    *,
    observer: Observer,
    place: Place | None = None,
    clock: Clock | None = None,
    adapt: Callable[[Ports], Ports] | None = None,
    known: Mapping[Any, Resolver] | None = None,
) -> Application:
    """Put a service and its adapters together; ``adapt`` and ``known`` may put others in their place.

    Raises ``StartupFailed`` with every fault of the declarations, ``SettingsRefused`` with those of keys, ``Refusal``
    for an adapter that is not there. Nothing is opened yet.
    """
    place, clock = place or Place(), clock or SystemClock()
    credentials = resolve(settings)
    sealer = make_sealer(credentials)
    http = make_http(service, settings, clock, observer)
    companions: list[Companion] = []
    shared = Shared()
    at_hand = {**dependencies(clock, make_blobs(settings, clock), http), Sealer: _shared(sealer)}
    at_hand |= {**shared_dependencies(settings, clock, observer, service.name, shared), **(known or {})}
    verifier = own_verifier(settings, credentials, clock)
    tokens = trusted_verifier(settings, verifier, at_hand, clock, observer, companions)
    identity = make_identity(service, settings, at_hand, clock=clock, observer=observer, others=tokens)
    webhooks = make_webhooks(service, settings, at_hand, http, clock=clock, observer=observer)
    ports = _ports(settings, clock, observer, place, sealer, identity.tokens)
    ports = shared_ports(ports, settings, service.name, shared)
    bound = bind(
        with_webhooks(with_accounts(service, settings, clock)),
        ports if adapt is None else adapt(ports),
        known={**identity.known, **webhooks.known, **at_hand},
        secrets=settings.secrets,
        inputs=_inputs(settings),
    )
    webhooks.attach(bound)
    _check(bound, settings)
    note_signals(bound, settings)
    check_contracts(bound, settings, observer)
    if any(one.signature.answer[0] == "page" for one in bound.operations):
        sealer.prepare()  # pages have cursors: what seals them is loaded now, not while a caller waits
    renewal = make_renewal(settings, observer, sealer=sealer, verifier=verifier)
    companions += [*identity.companions, *webhooks.companions, *purging(bound)]
    return Application(settings, bound, place, http, renewal, identity.sessions, companions, shared)


def _ports(
    settings: Settings, clock: Clock, observer: Observer, place: Place, sealer: Sealer, tokens: TokenVerifier | None
) -> Ports:
    return Ports(
        store=watched_store(settings, clock, observer),
        limiter=_limiter(settings, clock, place),
        clock=clock,
        ids=SystemIds(),
        entropy=SystemEntropy(),
        sealer=sealer,
        observer=observer,
        tokens=tokens,
        cipher=field_cipher(settings),
        broker=make_broker(settings, clock, observer),
        recent=_recent(settings, clock, place),
        held_seconds=HELD_SECONDS if settings.profile == "development" else None,
    )


def _check(bound: Bound, settings: Settings) -> None:
    """Refuse what cannot be served: all faults of the declarations, then what the settings lack for them."""
    note_reserved(bound)
    note_mounts(bound)
    if bound.faults:
        raise StartupFailed(bound.faults)
    check_tokens(bound, settings)
    _check_workers(bound, settings)


def _inputs(settings: Settings) -> InputLimits:
    """Return the bounds of validation that fit those of the door."""
    http = settings.http
    return InputLimits(
        body=http.max_body, upload=http.max_upload, containers=max(DEFAULTS.containers, http.max_body // 10)
    )


def _limiter(settings: Settings, clock: Clock, place: Place) -> Limiter:
    engine = settings.limits.engine
    if engine == "auto":
        several = place.run is not None and settings.http.workers > 1
        engine = "shared" if several or settings.limits.path else "memory"
    made: Limiter = find("limiter", engine)(settings, clock, place.run)
    return made


def _recent(settings: Settings, clock: Clock, place: Place) -> RecentWrites | None:
    """Return what remembers who has written lately, in the run directory for all workers; None without a replica."""
    if not settings.database.replica_url.reveal():
        return None
    from mainstay.adapters.local.recent_writes import MappedRecentWrites

    return MappedRecentWrites(clock.monotonic, None if place.run is None else place.run / "recent-writes")


def dependencies(clock: Clock, blobs: Blobs | None = None, http: HttpClient | None = None) -> dict[Any, Resolver]:
    """Return the dependencies that a use case may ask for by type beside those that the kernel makes."""
    from mainstay.adapters.memory.cache import MemoryCache
    from mainstay.adapters.memory.signals import MemorySignals

    known: dict[Any, Resolver] = {
        Cache: _shared(MemoryCache(clock)),
        Signals: Resolver(make=partial(_given, MemorySignals()), outside=True, tasks=True, shared=True),
    }
    if blobs is not None:
        known[Blobs] = Resolver(make=lambda _scope: blobs, outside=True, tasks=True, shared=True)
    if http is not None:
        known.update(http_resolvers(http))
    reading = sys.modules.get("mainstay.adapters.sql.reading")  # a use case that asks for Sql has imported it
    if reading is not None:
        known[reading.Sql] = Resolver(make=lambda scope: reading.Sql(scope.unit))
    return known


def _given(value: Any, _scope: Any) -> Any:
    return value


def _shared(value: Any) -> Resolver:
    return Resolver(make=lambda _scope: value, shared=True)


def _check_workers(bound: Bound, settings: Settings) -> None:
    if settings.http.workers > 1 and not bound.ports.store.capabilities.shared:
        raise Refusal(
            f"the store belongs to one process, and http.workers is {settings.http.workers}",
            "use one worker, or another database",
        )
