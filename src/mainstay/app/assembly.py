"""Assembly: a service and its settings become a running application. Nowhere else do adapters meet."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.local.entropy import SystemEntropy
from mainstay.adapters.local.ids import SystemIds
from mainstay.app import readiness
from mainstay.app.credentials import Credentials, resolve
from mainstay.app.mounting import make_mounts, note_mounts
from mainstay.app.objects import make_blobs
from mainstay.app.readiness import Readiness
from mainstay.app.refusal import Refusal
from mainstay.app.registry import find
from mainstay.app.reserved import note_reserved
from mainstay.app.settings import SettingFault, Settings, SettingsRefused
from mainstay.app.stores import watched_store
from mainstay.inbound.http.lifespan import MountFailed, living
from mainstay.inbound.http.mounts import Mount
from mainstay.kernel.bind import Bound, bind
from mainstay.kernel.bound import Ports
from mainstay.kernel.flow.relay import Relay
from mainstay.kernel.providers import Resolver
from mainstay.kernel.validate import DEFAULTS, InputLimits
from mainstay.model.faults import StartupFailed
from mainstay.model.operation import OperationKind, Signed
from mainstay.model.policy import anyone
from mainstay.model.problem import Unavailable
from mainstay.model.service import Service
from mainstay.ports.blobs import Blobs
from mainstay.ports.cache import Cache
from mainstay.ports.limiter import Limiter
from mainstay.ports.observer import Notice, Observer
from mainstay.ports.recent_writes import RecentWrites
from mainstay.ports.store import StoreUnusable
from mainstay.ports.tokens import TokenVerifier

if TYPE_CHECKING:
    from mainstay.app.identity_tokens import SessionParts
    from mainstay.ports.clock import Clock

RELAY_SECONDS = 5.0
"""How long the relay may take to end the delivery that it is at."""


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

    def __init__(self, settings: Settings, bound: Bound, place: Place, sessions: SessionParts | None = None) -> None:
        self.settings = settings
        self.sessions = sessions  # of a service with identity
        self.bound = bound
        self.place = place
        self.stopping: bool = False
        self.relay: Relay | None = None
        self.mounts: list[Mount] = make_mounts(bound, max_body=settings.http.max_upload)
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

    async def start(self, *, deliver: bool = True) -> None:
        """Open everything, each after what it rests on; where one part fails, those before it are closed again.

        ``deliver=False`` leaves events where they are, for who only wants to work on the database.
        """
        async with AsyncExitStack() as stack:
            await self._open_store()
            stack.push_async_callback(self.ports.store.stop)
            close = getattr(self.ports.limiter, "close", None)
            if close is not None:
                stack.callback(close)
            stack.push_async_callback(self.bound.providers.stop)
            await self.bound.providers.start()
            if deliver:
                if self.sessions is not None:
                    await stack.enter_async_context(self.sessions.running(self.bound))
                await stack.enter_async_context(self._relaying())
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
    async def _relaying(self) -> AsyncIterator[None]:
        """Deliver events until the block ends. The lease is given back, so that another worker goes on at once."""
        holder = f"{socket.gethostname()}:{os.getpid()}:{self.ports.ids.token()}"
        self.relay = relay = self.bound.relay(holder)
        task = asyncio.create_task(relay.run(), name="mainstay-relay")
        task.add_done_callback(self._relay_ended)
        try:
            yield
        finally:
            relay.stop()
            await asyncio.wait({task}, timeout=RELAY_SECONDS)
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    @asynccontextmanager
    async def _mounted(self) -> AsyncIterator[None]:
        """Have the mounted applications live until the block ends. Raises ``Refusal`` where one does not start."""
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(living(self.mounts, self.ports.observer))
            except MountFailed as failed:
                raise Refusal(str(failed), "mend the application, or mount it no more") from failed
            yield

    def _relay_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            text = "events are not delivered any more by this worker; another takes over when its lease ends"
            self.ports.observer.observe(Notice("error", "relay_failed", text, {}, error))

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
) -> Application:
    """Put a service and its adapters together; ``adapt`` may put others in their place.

    Raises ``StartupFailed`` with every fault of the declarations, ``SettingsRefused`` with those of keys, ``Refusal``
    for an adapter that is not there. Nothing is opened yet.
    """
    place = place or Place()
    clock = clock or SystemClock()
    credentials = resolve(settings)
    tokens, sessions = _judges(service, settings, credentials, clock, observer)
    ports = Ports(
        store=watched_store(settings, clock, observer),
        limiter=_limiter(settings, clock, place),
        clock=clock,
        ids=SystemIds(),
        entropy=SystemEntropy(),
        sealer=(sealer := _sealer(credentials)),
        observer=observer,
        tokens=tokens,
        recent=_recent(settings, clock, place),
        held_seconds=HELD_SECONDS if settings.profile == "development" else None,
    )
    bound = bind(
        service,
        ports if adapt is None else adapt(ports),
        known=with_sessions(dependencies(clock, make_blobs(settings, clock)), sessions),
        secrets=settings.secrets,
        inputs=_inputs(settings),
    )
    note_reserved(bound)
    note_mounts(bound)
    if bound.faults:
        raise StartupFailed(bound.faults)
    _check(bound, settings)
    if any(one.signature.answer[0] == "page" for one in bound.operations):
        sealer.prepare()  # pages have cursors: what seals them is loaded now, not while a caller waits
    return Application(settings, bound, place, sessions)


def _judges(
    service: Service, settings: Settings, credentials: Credentials, clock: Clock, observer: Observer
) -> tuple[TokenVerifier | None, SessionParts | None]:
    """Return what tells who calls, and the sessions that it knows of, where the service has accounts."""
    others = _verifier(settings, credentials, clock)
    if service.identity is None:
        return others, None
    from mainstay.app.identity_tokens import make_sessions

    sessions = make_sessions(service, settings, clock, observer, others)
    return (others, None) if sessions is None else (sessions.verifier, sessions)


def with_sessions(known: dict[Any, Resolver], sessions: SessionParts | None) -> dict[Any, Resolver]:
    """Return the dependencies by type, with those of sessions where the service has accounts."""
    return known if sessions is None else {**known, **sessions.dependencies(known)}


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


def _sealer(credentials: Credentials) -> Any:
    from mainstay.adapters.crypto.sealer import AeadSealer

    return AeadSealer(credentials.sealing)


def _verifier(settings: Settings, credentials: Credentials, clock: Clock) -> TokenVerifier | None:
    if not credentials.keys:
        return None
    from mainstay.adapters.jose import KeyRefused
    from mainstay.adapters.jose.verifier import JwtVerifier

    auth = settings.auth
    try:
        return JwtVerifier(
            credentials.keys,
            issuer=credentials.issuer,
            audience=credentials.audience,
            clock=clock,
            leeway=auth.leeway,
            roles_claim=auth.roles_claim,
            tenant_claim=auth.tenant_claim,
            cache_size=auth.cache_size,
            types=auth.types,
        )
    except (KeyRefused, ValueError) as error:
        fault = SettingFault("auth", settings.source("auth.keys"), str(error))
        raise SettingsRefused([fault], settings.profile) from None


def dependencies(clock: Clock, blobs: Blobs | None = None) -> dict[Any, Resolver]:
    """Return the dependencies that a use case may ask for by type beside those that the kernel makes."""
    from mainstay.adapters.memory.cache import MemoryCache

    cache = MemoryCache(clock)
    known: dict[Any, Resolver] = {Cache: Resolver(make=lambda _scope: cache, shared=True)}
    if blobs is not None:
        known[Blobs] = Resolver(make=lambda _scope: blobs, outside=True, tasks=True, shared=True)
    reading = sys.modules.get("mainstay.adapters.sql.reading")  # a use case that asks for Sql has imported it
    if reading is not None:
        known[reading.Sql] = Resolver(make=lambda scope: reading.Sql(scope.unit))
    return known


def _check(bound: Bound, settings: Settings) -> None:
    """Refuse what the settings have no key or no store for."""
    _check_tokens(bound, settings)
    _check_workers(bound, settings)


def _check_tokens(bound: Bound, settings: Settings) -> None:
    """Refuse a service that asks who calls, and has no key to tell by."""
    if bound.ports.tokens is not None:
        return
    names = _guarded(bound)
    if names:
        some = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        fault = SettingFault(
            "auth.key",
            settings.source("auth.key"),
            f"no token can be verified, and {some} ask who calls",
            "set MAINSTAY_AUTH_KEY (or auth.keys), auth.issuer and auth.audience",
        )
        raise SettingsRefused([fault], settings.profile)


def _guarded(bound: Bound) -> Sequence[str]:
    """Return the names of the operations that not everybody may call."""
    return [
        one.name
        for one in bound.operations
        if one.operation.kind is not OperationKind.CONSUMER
        and one.operation.allow != anyone
        and not isinstance(one.operation.allow, Signed)
    ]


def _check_workers(bound: Bound, settings: Settings) -> None:
    if settings.http.workers > 1 and not bound.ports.store.capabilities.shared:
        raise Refusal(
            f"the store belongs to one process, and http.workers is {settings.http.workers}",
            "use one worker, or another database",
        )
