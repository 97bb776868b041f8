"""The service: modules put together, with what they are provided with. Sealed once, checked at start-up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, TypeVar, get_args, overload

import msgspec

from mainstay.model.builtin import BuiltIn
from mainstay.model.limits import Limit
from mainstay.model.module import Module
from mainstay.model.mounted import Mounted, MountKind
from mainstay.model.operation import Source, caller_source, source_of
from mainstay.model.versions import Version, versions_of

Case = Literal["snake", "camel"]
Lifetime = Literal["service", "call"]
SeedProfile = Literal["development", "test", "production", "demo"]
"""Where a seed runs: in a profile, or where a service is shown (``mainstay run --demo``)."""

MAX_KEEP = 60
"""Seconds for which the attributes of a caller may be kept."""

F = TypeVar("F", bound=Callable[..., Any])


class Seed(msgspec.Struct, frozen=True, kw_only=True):
    """A function that puts rows into a fresh database; without ``profiles`` it does so in all of them."""

    function: Callable[..., Any]
    profiles: frozenset[SeedProfile] = frozenset()
    tenant: str | None = None  # that the system acts for

    def runs_in(self, active: Collection[str]) -> bool:
        """Whether it is meant for one of these profiles."""
        return not self.profiles or not self.profiles.isdisjoint(active)


class AttributeSource(msgspec.Struct, frozen=True, kw_only=True):
    """A function that loads what the service itself knows of a caller; ``keep`` is how many seconds it is kept."""

    function: Callable[..., Any]
    keep: float
    source: Source


class Provision(msgspec.Struct, frozen=True, kw_only=True):
    """How a dependency of a type is made.

    ``factory`` is a function, a coroutine function or an async generator function (what stands after its ``yield``
    cleans up); its parameters are dependencies themselves. ``outside`` says that it reaches beyond the service's own
    database.
    """

    type: Any
    factory: Callable[..., Any]
    scope: Lifetime
    outside: bool
    source: Source


class Service:
    """A backend: its modules, its limits, what it provides, and what its seeds put into a fresh database.

    ``identity=Identity(...)`` gives it accounts, ``webhooks=Webhooks(...)`` tells those who use it of events.
    ``roles={"manager": ["support"], "support": []}`` declares the roles of its callers, each with those that it brings
    along: policies name no other then. ``versions=["1", "2"]`` names those of its contract, the oldest first: paths
    begin with ``/v1``, ``/v2`` then.
    """

    def __init__(
        self,
        name: str,
        *,
        version: str = "0.1.0",
        modules: Sequence[Module],
        title: str | None = None,
        description: str = "",
        limits: Sequence[Limit] = (),
        case: Case = "snake",
        versions: Sequence[str | Version] = (),
        identity: BuiltIn | None = None,
        webhooks: BuiltIn | None = None,
        roles: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.name = name
        self.version = version
        self.title: str = title or name.replace("_", " ").replace("-", " ").capitalize()
        self.description = description
        self.identity = identity
        self.webhooks = webhooks
        brought = [module for one in (identity, webhooks) if one is not None for module in one.modules()]
        self.modules: tuple[Module, ...] = (*modules, *brought)
        self.built_in: frozenset[str] = frozenset(module.name for module in brought)
        self.roles = roles  # None: any name is a role
        self.limits: tuple[Limit, ...] = tuple(limits)
        self.case: Case = case
        self.versions: tuple[Version, ...] = versions_of(versions)  # the oldest first; none: paths without a prefix
        self.source: Source = caller_source(1)
        self.attribute_source: AttributeSource | None = None
        self.provisions: list[Provision] = []
        self.mounts: list[Mounted] = []
        self.seeds: list[Seed] = []
        self.serves: str | None = None  # the one module whose operations are served; None: all
        for module in self.modules:
            module.seal(name)

    def __repr__(self) -> str:
        return f"Service({self.name!r}, version={self.version!r})"

    def provide(
        self, type_: Any, factory: Callable[..., Any], *, scope: Lifetime = "service", outside: bool = True
    ) -> None:
        """Say how a dependency of ``type_`` is made: once for the service, or anew for each call.

        An async generator yields the value once and cleans up behind the ``yield``. ``outside=False`` promises that it
        has no effect beyond the service's own database, so that a command which takes it may be run again.
        """
        self.provisions.append(
            Provision(type=type_, factory=factory, scope=scope, outside=outside, source=caller_source(1))
        )

    @overload
    def attributes(self, function: F, /) -> F: ...

    @overload
    def attributes(self, function: None = None, /, *, keep: float = 0.0) -> Callable[[F], F]: ...

    def attributes(self, function: Any = None, /, *, keep: float = 0.0) -> Any:
        """Declare the function that loads what the service itself knows of a caller, for policies to ask.

        It is an async function of dependencies, ``who: Principal`` among them, that returns a mapping. It runs once a
        call, as the service itself, before the call is allowed or refused; where it fails the call is answered 503.
        ``keep`` (0 to 60 seconds) spares the next calls of the same caller the loading. A decorator with or without
        arguments::

            @shop.attributes
            async def staff(who: Principal, people: Repository[Employee]) -> dict[str, object]: ...

        Raises ``ValueError`` for a second source, and for another ``keep``.
        """
        if self.attribute_source is not None:
            raise ValueError(f"attributes: the service has a source already, at {self.attribute_source.source}")
        if not 0 <= keep <= MAX_KEEP:
            raise ValueError(f"attributes: keep={keep} seconds, expected 0 to {MAX_KEEP}")

        def declare(declared: F) -> F:
            self.attribute_source = AttributeSource(function=declared, keep=keep, source=source_of(declared))
            return declared

        return declare if function is None else declare(function)

    def mount(
        self,
        path: str,
        app: Any,
        *,
        kind: MountKind | None = None,
        limits: Sequence[Limit] = (),
        max_body: int | None = None,
        deadline: float = 60.0,
        threads: int = 16,
    ) -> None:
        """Serve an ASGI 3 or WSGI application under a path ("/" for all that the service itself does not answer).

        ``kind`` says which it is, where that cannot be told by looking at it. ``limits`` by address or global stand
        beside the service's own. ``max_body`` is in bytes (as much as an upload may have, unless given); ``deadline``
        in seconds until an answer begins; ``threads`` is how many requests of a WSGI application run at a time. What
        the service answers itself is never passed on; of several mounts the one with the longest path counts.
        """
        self.mounts.append(
            Mounted(
                path=path,
                app=app,
                kind=kind,
                limits=tuple(limits),
                max_body=max_body,
                deadline=deadline,
                threads=threads,
                source=caller_source(1),
            )
        )

    @overload
    def seed(self, function: F, /) -> F: ...

    @overload
    def seed(
        self, function: None = None, /, *, profiles: Collection[SeedProfile] = (), tenant: str | None = None
    ) -> Callable[[F], F]: ...

    def seed(
        self, function: Any = None, /, *, profiles: Collection[SeedProfile] = (), tenant: str | None = None
    ) -> Any:
        """Declare a function that ``mainstay db seed`` runs as the system, in one transaction; it is idempotent.

        ``profiles`` are those that it is for; without them it is for all. With a ``tenant`` the system acts for that
        one, to which the rows then belong. A decorator with or without arguments::

            @shop.seed(profiles=["demo"])
            async def fill_shelves(products: Repository[Product]) -> None: ...

        Raises ``ValueError`` for a profile that there is not.
        """
        unknown = sorted(set(profiles) - set(get_args(SeedProfile)))
        if unknown:
            raise ValueError(f"seed: {', '.join(unknown)} is no profile: {', '.join(get_args(SeedProfile))}")

        def declare(declared: F) -> F:
            self.seeds.append(Seed(function=declared, profiles=frozenset(profiles), tenant=tenant))
            return declared

        return declare if function is None else declare(function)
