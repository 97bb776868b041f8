"""A module: a boundary inside a service, and the place where its parts are declared."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, TypeVar

import msgspec

from mainstay.model.caching import Caching
from mainstay.model.event_versions import Step, Upcaster
from mainstay.model.limits import Limit
from mainstay.model.operation import (
    Isolation,
    KeyUse,
    OnDead,
    Operation,
    OperationKind,
    Source,
    caller_module,
    caller_source,
    describe,
    problems_of,
    route_of,
    signed,
    source_of,
)
from mainstay.model.policy import Policy, owner_fields
from mainstay.model.problem import Problem, snake_case
from mainstay.model.signature_schemes import SignatureScheme
from mainstay.model.structs import Entity, Event

F = TypeVar("F", bound=Callable[..., Any])
U = TypeVar("U", bound=Step)


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """An entity served under a path by operations that need no code: list, get, create, update, delete.

    A verb whose policy is None is not served.
    """

    entity: type[Entity]
    path: str
    one: str  # the name of one row
    read: Policy | None
    create: Policy | None
    update: Policy | None
    delete: Policy | None
    limits: tuple[Limit, ...]
    precondition: bool
    source: Source
    cache: Caching | None = None
    deprecated: bool | date = False
    sunset: date | None = None
    successor: str | None = None
    since: str | None = None
    until: str | None = None

    @property
    def name(self) -> str:
        """The name of many rows: the end of the path."""
        return self.path.strip("/").split("/")[-1].replace("-", "_")

    def routes(self) -> list[tuple[str, str, str]]:
        """Return (verb, method, path) of each verb that is served."""
        one = f"{self.path}/{{id}}"
        served = [
            ("list", "GET", self.path, self.read),
            ("get", "GET", one, self.read),
            ("create", "POST", self.path, self.create),
            ("update", "PATCH", one, self.update),
            ("delete", "DELETE", one, self.delete),
        ]
        return [(verb, method, path) for verb, method, path, policy in served if policy is not None]

    def operation_name(self, verb: str) -> str:
        """Return the name of a verb's operation: ``list_products``, ``get_product``, ``create_product``."""
        return f"{verb}_{self.name}" if verb == "list" else f"{verb}_{self.one}"

    def policy(self, verb: str) -> Policy | None:
        """Return the policy of a verb."""
        policies = {"list": self.read, "get": self.read, "create": self.create, "update": self.update}
        return policies.get(verb, self.delete)

    def owners(self, verb: str) -> tuple[str, ...]:
        """Return the owner fields that the body of a verb does not set, beside those of the rows' own policy.

        On create they are set from the caller; after that no body changes whose a row is, under whatever verb.
        """
        policies = (self.create,) if verb == "create" else (self.read, self.create, self.update, self.delete)
        return tuple(dict.fromkeys(name for p in policies if p is not None for name in owner_fields(p)))


def _entity(entity: Any) -> Any:
    if not (isinstance(entity, type) and issubclass(entity, Entity) and entity is not Entity):
        raise TypeError(f"{entity!r} is no entity: give a class that is made of Entity")
    return entity


class Module:
    """A named part of a service that owns its entities, operations, consumers and events.

    A module is declared by appending to it and is sealed by the ``Service`` that it is given to. Decorators return the
    function as it was, so that a use case is tested by calling it.
    """

    def __init__(self, name: str, *, title: str | None = None) -> None:
        if not name.isidentifier():
            raise ValueError(f"Module({name!r}): a module's name is an identifier, for example store")
        self.name = name
        self.title: str = title or name.replace("_", " ").capitalize()
        self.source: Source = caller_source(1)
        self.home: str = caller_module(1)
        self.operations: list[Operation] = []
        self.resources: list[Resource] = []
        self.entities: list[type[Entity]] = []
        self.upcasters: list[Upcaster] = []
        self._sealed_by: str | None = None

    def __repr__(self) -> str:
        return f"Module({self.name!r})"

    def entity(self, *entities: type[Entity]) -> None:
        """Say that entities belong to this module, where neither a resource nor a use case of it names them."""
        self._open()
        self.entities.extend(map(_entity, entities))

    def resource(
        self,
        entity: type[Entity],
        *,
        path: str,
        read: Policy | None = None,
        create: Policy | None = None,
        update: Policy | None = None,
        delete: Policy | None = None,
        limits: Sequence[Limit] = (),
        precondition: bool = False,
        name: str | None = None,
        cache: Caching | None = None,
        deprecated: bool | date = False,
        sunset: date | None = None,
        successor: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> None:
        """Serve an entity: ``GET path``, ``GET path/{id}``, ``POST path``, ``PATCH path/{id}``, ``DELETE path/{id}``.

        Each verb is served to those whom its policy allows, and is absent where none is given. ``precondition`` makes
        ``If-Match`` required for update and delete. ``name`` is what one row is called in the names of the operations
        (``get_product``): the entity's name unless it is given. ``cache`` says what caches may keep of what is read;
        ``deprecated``, ``sunset``, ``successor``, ``since`` and ``until`` are as for a command, for all of its verbs.
        """
        self._open()
        self.resources.append(
            Resource(
                entity=_entity(entity),
                path=path,
                one=name or snake_case(entity.__name__),
                read=read,
                create=create,
                update=update,
                delete=delete,
                limits=tuple(limits),
                precondition=precondition,
                source=caller_source(1),
                cache=cache,
                deprecated=deprecated,
                sunset=sunset,
                successor=successor,
                since=since,
                until=until,
            )
        )

    def command(
        self,
        route: str,
        *,
        status: int = 200,
        allow: Policy | None = None,
        limits: Sequence[Limit] = (),
        raises: Sequence[type[Problem]] = (),
        idempotency: KeyUse = "optional",
        precondition: bool = False,
        deadline: float | None = None,
        external: bool = False,
        isolation: Isolation = "serializable",
        deprecated: bool | date = False,
        sunset: date | None = None,
        successor: str | None = None,
        since: str | None = None,
        until: str | None = None,
        name: str | None = None,
    ) -> Callable[[F], F]:
        """Declare a use case that changes things, in one transaction, for callers that ``allow`` allows.

        ``status`` is that of success; ``raises`` are problems of the contract; ``idempotency`` says whether a key is
        needed; ``deadline`` is in seconds; ``external`` says that it reaches outside the service's own database, and is
        never run twice. ``isolation`` is how far it is kept apart from commands beside it, at least. ``deprecated``
        (since a date, or True), ``sunset`` and ``successor`` are told in each answer.
        ``since`` and ``until`` name the first and the last version of the service that has it.
        """
        return self._declare(
            OperationKind.COMMAND,
            route,
            name,
            status=status,
            allow=allow,
            limits=tuple(limits),
            raises=problems_of(raises),
            idempotency=idempotency,
            precondition=precondition,
            deadline=deadline,
            external=external,
            isolation=isolation,
            deprecated=deprecated,
            sunset=sunset,
            successor=successor,
            since=since,
            until=until,
        )

    def query(
        self,
        route: str,
        *,
        allow: Policy | None = None,
        limits: Sequence[Limit] = (),
        raises: Sequence[type[Problem]] = (),
        deadline: float | None = None,
        deprecated: bool | date = False,
        sunset: date | None = None,
        successor: str | None = None,
        cache: Caching | None = None,
        since: str | None = None,
        until: str | None = None,
        name: str | None = None,
    ) -> Callable[[F], F]:
        """Declare a use case that reads, from one snapshot, and changes nothing.

        ``deprecated``, ``sunset``, ``successor``, ``since`` and ``until`` are as for a command. ``cache`` says what
        caches may keep: nothing, unless it is given.
        """
        return self._declare(
            OperationKind.QUERY,
            route,
            name,
            allow=allow,
            limits=tuple(limits),
            raises=problems_of(raises),
            deadline=deadline,
            deprecated=deprecated,
            sunset=sunset,
            successor=successor,
            cache=cache,
            since=since,
            until=until,
        )

    def webhook(
        self,
        path: str,
        *,
        secret: str | Sequence[str],
        scheme: str | SignatureScheme = "standard-webhooks",
        sender: str = "",
        status: int = 200,
        limits: Sequence[Limit] = (),
        raises: Sequence[type[Problem]] = (),
        deadline: float | None = None,
        external: bool = False,
        isolation: Isolation = "serializable",
        name: str | None = None,
    ) -> Callable[[F], F]:
        """Declare a command that another service posts signed messages to: a ``RawBody``, or a ``Dto``.

        The signature is checked over the raw body before any of it is decoded. ``scheme`` is "standard-webhooks",
        "github", "stripe", "slack" or one of a team's own; ``secret`` is as for ``signed(...)``: several names while a
        secret is replaced. The call is made as ``webhook:`` and ``sender``, which is the name of the operation unless
        it is given. A message that was taken before is answered 200, and has no second effect.
        """
        policy = signed(scheme, secret=secret)

        def declare(function: F) -> F:
            named = msgspec.structs.replace(policy, sender=sender or name or function.__name__, once=True)
            self._add(
                function,
                OperationKind.COMMAND,
                name,
                place=route_of(f"POST {path}"),
                status=status,
                allow=named,
                limits=tuple(limits),
                raises=problems_of(raises),
                deadline=deadline,
                external=external,
                isolation=isolation,
            )
            return function

        return declare

    def _declare(self, kind: OperationKind, route: str, name: str | None, **declared: Any) -> Callable[[F], F]:
        place = route_of(route)

        def declare(function: F) -> F:
            self._add(function, kind, name, place=place, **declared)
            return function

        return declare

    def on(
        self,
        event: type[Event] | str,
        *,
        attempts: int = 10,
        concurrency: int = 8,
        latest_only: bool = False,
        on_dead: OnDead = "park",
        reads: Sequence[int] = (),
        name: str | None = None,
    ) -> Callable[[F], F]:
        """Declare a consumer of an event, given by its class or, from another module, by ``"module.Name"``.

        It runs after the commit that emitted the event, at least once; that its message is done is committed with what
        it changes, so that the effect is one. Messages of one key run one at a time, in order; ``concurrency`` is how
        many messages run at once in a process. After ``attempts`` failures the message goes to the dead letters, and
        those of its key wait behind it (``on_dead`` "park") or go on without it ("continue"). A consumer of
        ``latest_only`` waits for no message of a key, and passes over those that come behind later ones.

        It takes the version of the class that it reads the event as, and those that upcasters lead from; ``reads``
        names others that changed nothing that it looks at.
        """
        if attempts < 1 or concurrency < 1 or on_dead not in ("park", "continue"):
            raise ValueError('on(...): attempts and concurrency are 1 or more, and on_dead is "park" or "continue"')

        def declare(function: F) -> F:
            self._add(
                function,
                OperationKind.CONSUMER,
                name,
                event=event,
                attempts=attempts,
                concurrency=concurrency,
                latest_only=latest_only,
                on_dead=on_dead,
                reads=tuple(reads),
            )
            return function

        return declare

    def upcast(self, event: type[Event], version: int) -> Callable[[U], U]:
        """Declare the step from a version of an event to the next, for messages that were emitted before it.

        The function is given the members of the message's JSON object, as they stood on the wire, and returns those of
        the next version. It asks nothing but them: it is run again whenever the message is.
        """
        if not (isinstance(event, type) and issubclass(event, Event) and event is not Event):
            raise TypeError(f"upcast({event!r}): give the class of an event")

        def declare(function: U) -> U:
            self._open()
            made = Upcaster(event=event, version=version, function=function, source=source_of(function))
            self.upcasters.append(made)
            return function

        return declare

    def _add(
        self,
        function: Callable[..., Any],
        kind: OperationKind,
        name: str | None,
        *,
        place: tuple[str, str] = ("", ""),
        **declared: Any,
    ) -> None:
        self._open()
        if not inspect.isfunction(function):
            raise TypeError(f"{function!r}: a use case is an async function")
        summary, description = describe(function)
        self.operations.append(
            Operation(
                name=name or function.__name__,
                kind=kind,
                module=self.name,
                function=function,
                method=place[0],
                path=place[1],
                source=source_of(function),
                summary=summary,
                description=description,
                tags=(self.name,),
                **declared,
            )
        )

    def _open(self) -> None:
        if self._sealed_by is not None:
            raise RuntimeError(
                f"module {self.name} is sealed by service {self._sealed_by}: declare its parts before Service(...)"
            )

    def seal(self, service: str) -> None:
        """Close the module to further declarations."""
        self._sealed_by = service
