"""A client in the same process: requests go through the whole pipeline of a service, and no socket."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from uuid import UUID

import msgspec

from mainstay.adapters.mail.memory import MemoryMailer
from mainstay.adapters.memory.blobs import MemoryBlobs
from mainstay.adapters.memory.http import MemoryHttp
from mainstay.adapters.memory.limiter import MemoryLimiter
from mainstay.adapters.memory.store import MemoryStore
from mainstay.app.assembly import dependencies
from mainstay.app.documents import documents_of
from mainstay.app.identity import make_identity
from mainstay.app.mounting import make_mounts, note_mounts
from mainstay.app.seeding import seed
from mainstay.app.settings import Settings
from mainstay.app.webhooks import make_webhooks, with_webhooks
from mainstay.inbound.http.asgi import AsgiApp
from mainstay.inbound.http.door import Door
from mainstay.inbound.http.lifespan import living
from mainstay.inbound.http.options import HttpOptions
from mainstay.kernel.bind import Bound, bind
from mainstay.kernel.bound import Ports
from mainstay.kernel.dispatch import dispatch
from mainstay.kernel.flow.desk import EventDesk
from mainstay.kernel.flow.envelope import Envelope
from mainstay.kernel.flow.filing import Filing
from mainstay.kernel.flow.principals import encode_principal
from mainstay.kernel.flow.records import InboxMessage, OutboxMessage, State
from mainstay.kernel.protect import encrypting
from mainstay.kernel.worker import EventWorker
from mainstay.model.conditions import Condition
from mainstay.model.faults import StartupFailed
from mainstay.model.operation import source_of
from mainstay.model.principal import Principal
from mainstay.model.service import Provision, Service
from mainstay.model.structs import Entity
from mainstay.ports.http import HttpClient
from mainstay.ports.ids import Ids
from mainstay.ports.store import Store
from mainstay.testing.accounts import with_quick_accounts
from mainstay.testing.answer import Answer
from mainstay.testing.backstage import Backstage
from mainstay.testing.fixed import ClearSealer, FixedClock, SeededEntropy, SequentialIds, fixed_cipher
from mainstay.testing.people import KnownPeople
from mainstay.testing.queries import watched
from mainstay.testing.recorder import Recorder

if TYPE_CHECKING:
    import httpx2

    from mainstay.ports.tokens import TokenVerifier

E = TypeVar("E", bound=Entity)

Asgi = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI 3 application: called with scope, receive and send."""
FilePart = tuple[str, bytes] | tuple[str, bytes, str]
Files = Mapping[str, FilePart] | Sequence[tuple[str, FilePart]]
_NOT_OPEN = "the client is not open: async with Client(service) as client"
_encode = msgspec.json.Encoder(decimal_format="string").encode
_ROUNDS = 100  # of deliveries that bring forth further events


class Client:
    """A service on memory (or another store), with a clock that the test decides.

    An asynchronous context manager::

        async with Client(shop) as client:
            answer = await client.post("/orders", who=as_principal("ann"), json={"sku": "TEA", "quantity": 2})
            assert answer.status == 201

    A ``store`` is one that was not started, and whose deadlines go by the same ``clock``. ``replace`` stands in for
    what the service is provided with, by type, and ``http`` (``MemoryHttp``) for other services that it calls. Events
    wait until ``deliver()``, and letters to accounts are in ``letters`` after it. Mounted applications live as long as
    the client. An exception that would be answered by 500 is raised in the test, unless ``raise_errors`` is false.
    """

    __test__: ClassVar[bool] = False

    def __init__(
        self,
        service: Service,
        *,
        store: Store | None = None,
        clock: FixedClock | None = None,
        ids: Ids | None = None,
        http: HttpClient | None = None,
        replace: Mapping[Any, Any] | None = None,
        secrets: Mapping[str, Any] | None = None,
        raise_errors: bool = True,
    ) -> None:
        self.clock: FixedClock = clock or FixedClock()
        self.recorder: Recorder = Recorder()
        self.raise_errors = raise_errors
        self._people = KnownPeople()
        own = store or MemoryStore()
        known = dependencies(self.clock, MemoryBlobs(self.clock), http or MemoryHttp())
        self.letters: MemoryMailer = MemoryMailer()
        tested = with_webhooks(with_quick_accounts(_with(service, replace or {}), self.letters))
        settings = Settings(profile="test", secrets=dict(secrets or {}))
        identity = make_identity(
            service, settings, known, clock=self.clock, observer=self.recorder, others=self._people
        )
        self._sessions = identity.sessions
        self._webhooks = make_webhooks(service, settings, known, clock=self.clock, observer=self.recorder)
        ports = _ports(own, self.clock, ids or SequentialIds(), self.recorder, identity.tokens)
        self.bound: Bound = bind(
            tested, ports, known={**identity.known, **self._webhooks.known, **known}, secrets=secrets
        )
        self._webhooks.attach(self.bound)
        note_mounts(self.bound)
        if self.bound.faults:
            raise StartupFailed(self.bound.faults)
        self._mounts = make_mounts(self.bound, max_body=HttpOptions().max_upload_bytes)
        behind = encrypting(own, self.bound.plans, ports.cipher, self.recorder)
        self._backstage = Backstage(behind, self.bound.plans, ports.clock, ports.ids, ports.sealer)
        self._worker: EventWorker | None = None
        self._stack = AsyncExitStack()
        self._http: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Client:
        import httpx2

        async with AsyncExitStack() as stack:
            store = self.bound.ports.store
            await store.start(self.bound.tables)
            stack.push_async_callback(store.stop)
            self._worker = EventWorker(self.bound, "test")
            stack.push_async_callback(self._worker.close)
            stack.push_async_callback(self.bound.providers.stop)
            await self.bound.providers.start()
            if self._sessions is not None:
                await self._sessions.open(self.bound)
            await stack.enter_async_context(living(self._mounts, self.recorder))
            transport = httpx2.ASGITransport(self.app())
            http = httpx2.AsyncClient(transport=transport, base_url="http://testserver")
            self._http = await stack.enter_async_context(http)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def app(self) -> Asgi:
        """Return the service as an ASGI 3 application, for tools that drive one."""
        ports = self.bound.ports
        served = [one for one in self.bound.operations if one.operation.method]
        session = None if self._sessions is None else self._sessions.cookie
        documents = documents_of(self.bound, session="" if session is None else session.name, late=True)
        return AsgiApp(
            Door(
                served,
                dispatch,
                ids=ports.ids,
                clock=ports.clock,
                observer=ports.observer,
                documents=documents,
                mounts=self._mounts,
                versions=self.bound.service.versions,
                options=HttpOptions(session=session),
            )
        )

    def token(self, who: Principal) -> str:
        """Return a bearer token of a caller, good for this client's service."""
        return self._people.token(who)

    def change(self, who: Principal, now: Principal | None) -> None:
        """Have the token of a caller stand for another from now on, or (None) count no more: in running streams too."""
        self._people.change(who, now)

    async def request(
        self,
        method: str,
        path: str,
        *,
        who: Principal | None = None,
        json: Any = msgspec.UNSET,
        body: bytes | None = None,
        query: Mapping[str, Any] | Sequence[tuple[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
        files: Files | None = None,
        fields: Mapping[str, str | Sequence[str]] | None = None,
    ) -> Answer:
        """Send a request for a caller (None: nobody known) and return the answer.

        ``json`` is encoded as the body; ``body`` is sent as it is; ``key`` is the ``Idempotency-Key``. ``files`` are
        sent as a form, by the names of their parts, each as (filename, content) or (filename, content, media type),
        several of one name as a list of pairs; ``fields`` stand beside them.
        """
        if self._http is None:
            raise RuntimeError(_NOT_OPEN)
        sent = {"accept": "application/json", **{name.lower(): value for name, value in (headers or {}).items()}}
        if who is not None:
            sent.setdefault("authorization", f"Bearer {self.token(who)}")
        if key is not None:
            sent["idempotency-key"] = key
        if json is not msgspec.UNSET:
            body = msgspec.json.encode(json)
            sent.setdefault("content-type", "application/json")
        params: list[tuple[str, Any]] = list(query.items() if isinstance(query, Mapping) else query or ())
        form: dict[str, Any] = {} if files is None and fields is None else {"files": files or {}, "data": fields or {}}
        got = await self._http.request(method, path, content=body, params=params or None, headers=sent, **form)
        self._http.cookies.clear()  # each request is somebody's own: who has a cookie sends it
        unexpected = self.recorder.unexpected()
        if unexpected is not None and self.raise_errors:
            raise unexpected
        return Answer(status=got.status_code, headers=dict(got.headers.items()), body=got.content)

    async def get(self, path: str, **more: Any) -> Answer:
        """Send GET, with the keywords of ``request``."""
        return await self.request("GET", path, **more)

    async def post(self, path: str, **more: Any) -> Answer:
        """Send POST, with the keywords of ``request``."""
        return await self.request("POST", path, **more)

    async def put(self, path: str, **more: Any) -> Answer:
        """Send PUT, with the keywords of ``request``."""
        return await self.request("PUT", path, **more)

    async def patch(self, path: str, **more: Any) -> Answer:
        """Send PATCH, with the keywords of ``request``."""
        return await self.request("PATCH", path, **more)

    async def delete(self, path: str, **more: Any) -> Answer:
        """Send DELETE, with the keywords of ``request``."""
        return await self.request("DELETE", path, **more)

    async def given(self, *rows: Any) -> list[Any]:
        """Add rows as the system, in one transaction, and return them as they are stored."""
        return await self._backstage.given(*rows)

    async def stored(
        self, entity: type[E], /, *conditions: Condition, sort: str | None = None, **fields: Any
    ) -> list[E]:
        """Return the rows that match, as the system sees them, in the order of their adding unless told otherwise."""
        return await self._backstage.stored(entity, *conditions, sort=sort, **fields)

    async def seed(self, *profiles: str) -> list[str]:
        """Run the service's seeds, those for all profiles and for these ("test"), and return their names."""
        return await seed(self.bound, profiles or ("test",))

    async def waiting(self) -> list[tuple[str, Any]]:
        """Return the committed events that are not delivered yet: their names and their content, in order."""
        found = await self._waiting()
        return [(one.event, msgspec.json.decode(one.payload)) for _, one in sorted(found.items())]

    async def _waiting(self) -> dict[UUID, OutboxMessage | InboxMessage]:
        """Return what is not delivered yet, by the ids of the events."""
        found: dict[UUID, OutboxMessage | InboxMessage] = {}
        for row in await self._backstage.stored(InboxMessage, state=State.PENDING):
            found[row.message] = row
        for message in await self._backstage.stored(OutboxMessage):
            found[message.id] = message
        return found

    async def hears(
        self,
        event: str,
        content: Any,
        *,
        who: Principal = Principal.anonymous,
        key: str | None = None,
        source: str = "elsewhere",
        id: UUID | None = None,
    ) -> None:
        """Have the service get an event from another one, by its full name: ``"store.OrderPlaced"``.

        ``content`` is an instance, or a dict; ``who`` is whom it was emitted for. ``deliver`` has the consumers run.
        What has an ``id`` can come again.
        """
        worker, ports = self._worker, self.bound.ports
        if worker is None:
            raise RuntimeError(_NOT_OPEN)
        envelope = Envelope(
            id=id or ports.ids.next(),
            source=source,
            event=event,
            key=key,
            payload=_encode(content).decode(),
            principal=encode_principal(who),
            request_id="",
            traceparent=None,
            emitted_at=ports.clock.now(),
            sequence=0,
            previous=0,
        )
        filing = Filing(ports, self.bound.consumers, worker.known, worker.counters)
        transaction = ports.store.begin(write=True)
        try:
            filed = await filing.put(transaction, [envelope], look=True)
            await transaction.commit()
        except BaseException:
            await transaction.rollback()
            raise
        worker.runner.look(filing.told(filed))

    async def deliver(self) -> int:
        """Deliver what is due to its consumers, and what they emit in turn; return how many events were delivered.

        Webhooks that are due are sent to ``http`` as well.
        A consumer's exception is raised, unless ``raise_errors`` is false: then it is tried again when its time has
        come by the client's clock.
        """
        worker = self._worker
        if worker is None:
            raise RuntimeError(_NOT_OPEN)
        seen = set(await self._waiting())
        for _ in range(_ROUNDS):
            more = await worker.step()
            more = bool(await self._webhooks.send_due()) or more
            unexpected = self.recorder.unexpected()
            if unexpected is not None and self.raise_errors:
                raise unexpected
            emitted = set(await self._waiting()) - seen
            seen |= emitted
            if not more and not emitted:
                break
        dead = {row.message for row in await self._backstage.stored(InboxMessage, state=State.DEAD)}
        return len(seen - dead - (await self._waiting()).keys())

    @property
    def events(self) -> EventDesk:
        """What whoever runs the service asks of its events: lists, pauses, dead letters tried again."""
        consumers = self.bound.consumers.values()
        return EventDesk(self.bound.ports, [each.name for group in consumers for each in group])


def _ports(store: Store, clock: FixedClock, ids: Ids, recorder: Recorder, tokens: TokenVerifier | None) -> Ports:
    return Ports(
        store=watched(store, recorder),
        limiter=MemoryLimiter(clock),
        clock=clock,
        ids=ids,
        entropy=SeededEntropy(),
        sealer=ClearSealer(),
        observer=recorder,
        tokens=tokens,
        cipher=fixed_cipher(),
    )


def _with(service: Service, replace: Mapping[Any, Any]) -> Service:
    """Return the service with other provisions for some types."""
    if not replace:
        return service
    changed = copy.copy(service)
    kept = [provision for provision in service.provisions if provision.type not in replace]
    changed.provisions = [*kept, *(_provision(type_, value) for type_, value in replace.items())]
    return changed


def _provision(type_: Any, value: Any) -> Provision:
    def factory() -> Any:
        return value

    return Provision(type=type_, factory=factory, scope="service", outside=False, source=source_of(factory))
