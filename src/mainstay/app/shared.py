"""What replicas share, from settings: limits, the cache, signals and leaderboards; the scheme of a URL says where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import msgspec

from mainstay.app.refusal import Refusal
from mainstay.app.registry import find
from mainstay.app.settings import Settings
from mainstay.kernel.bind import Bound
from mainstay.kernel.bound import Ports
from mainstay.kernel.providers import Resolver
from mainstay.model.signature import Source
from mainstay.ports.cache import Cache
from mainstay.ports.clock import Clock
from mainstay.ports.leaderboard import Leaderboard
from mainstay.ports.observer import Notice, Observer
from mainstay.ports.signals import Signals


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """What the factory of a shared part is given. ``service`` is the name that its keys begin with."""

    settings: Settings
    part: str  # the section of the settings
    url: str
    current: Callable[[], str]  # gives the URL of now: who is named in it may change
    clock: Clock
    observer: Observer
    service: str
    behind: Any = None  # what counts, or caches, in this process


class Counted(Protocol):
    """What tells figures for metrics, by name."""

    def statistics(self) -> Mapping[str, float]:
        """Return the figures of now."""


class SharedPart(msgspec.Struct, frozen=True):
    """A part that replicas share, made by its factory: the adapter, and what it lives in; None: it needs nothing."""

    made: Any
    running: Callable[[], AbstractAsyncContextManager[None]] | None = None


class Shared(msgspec.Struct):
    """The shared parts of an application, with what starts and stops them and what they tell."""

    running: list[Callable[[], AbstractAsyncContextManager[None]]] = []
    counted: dict[str, Counted] = {}

    def take(self, name: str, part: SharedPart) -> Any:
        """Return the adapter of a part, and note what it needs."""
        if part.running is not None:
            self.running.append(part.running)
        if hasattr(part.made, "statistics"):
            self.counted[name] = part.made
        return part.made


def shared_ports(ports: Ports, settings: Settings, service: str, shared: Shared) -> Ports:
    """Return the ports with the limiter that counts for all hosts, where a URL names such. Raises ``Refusal``."""
    part = _part("limits", settings, ports.clock, ports.observer, service, ports.limiter)
    return ports if part is None else msgspec.structs.replace(ports, limiter=shared.take("limits", part))


def shared_dependencies(
    settings: Settings, clock: Clock, observer: Observer, service: str, shared: Shared
) -> dict[Any, Resolver]:
    """Return the cache, the signals and the leaderboards as use cases ask for them. Raises ``Refusal``."""
    from mainstay.adapters.memory.cache import MemoryCache

    near = MemoryCache(clock, size=settings.cache.size)
    cache = _part("cache", settings, clock, observer, service, near)
    known: dict[Any, Resolver] = {Cache: _always(near if cache is None else shared.take("cache", cache))}
    signals = _part("signals", settings, clock, observer, service) or _memory_signals()
    known[Signals] = _always(shared.take("signals", signals), outside=True)
    boards = _part("leaderboards", settings, clock, observer, service)
    if boards is not None:
        known[Leaderboard] = _always(shared.take("leaderboards", boards).board, outside=True)
    return known


def note_signals(bound: Bound, settings: Settings) -> None:
    """Warn where signals are asked for, and would stay in one worker of several."""
    asked = any(p.target is Signals for one in bound.operations for p in one.signature.of(Source.DEPENDENCY))
    if asked and settings.http.workers > 1 and not settings.signals.url.reveal():
        text = "signals stay in their worker: listeners of the others hear nothing; give signals a URL"
        bound.ports.observer.observe(Notice("warning", "signals_stay", text, {"workers": settings.http.workers}))


def _part(
    name: str, settings: Settings, clock: Clock, observer: Observer, service: str, behind: Any = None
) -> SharedPart | None:
    secret = getattr(settings, name).url
    url = secret.reveal()
    if not url:
        return None
    scheme, colon, _ = url.partition(":")
    if not colon:
        key = f"{name}.url"
        raise Refusal(f"{key} ({settings.source(key)}) is no URL", "for example redis://127.0.0.1:6379/0")
    where = Where(
        settings=settings,
        part=name,
        url=url,
        current=secret.reveal,
        clock=clock,
        observer=observer,
        service=service,
        behind=behind,
    )
    made: SharedPart = find(name, scheme)(where)
    return made


def _memory_signals() -> SharedPart:
    from mainstay.adapters.memory.signals import MemorySignals

    return SharedPart(MemorySignals())


def _always(value: Any, *, outside: bool = False) -> Resolver:
    return Resolver(make=lambda _scope: value, outside=outside, tasks=outside, shared=True)
