"""Sessions, tokens and signing keys of a service with identity, put together and kept going."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

from mainstay.app.refusal import Refusal
from mainstay.app.settings import Settings
from mainstay.identity.book import SessionBook
from mainstay.identity.declaration import Identity
from mainstay.identity.sessions.aftermath import Aftermath
from mainstay.identity.sessions.credentials import CredentialRows
from mainstay.identity.sessions.entities import ApiKey, Session, SubjectEpoch
from mainstay.identity.sessions.epochs import StoredEpochs, raise_epoch
from mainstay.identity.sessions.issuing import AccessTokens
from mainstay.identity.sessions.keys import NoSigningKey, SigningKeys
from mainstay.identity.sessions.rules import SessionRules
from mainstay.identity.sessions.stored_book import Caller, StoredSessionBook
from mainstay.identity.sessions.uses import Uses
from mainstay.identity.sessions.verifier import IdentityVerifier
from mainstay.inbound.http.options import SessionCookie
from mainstay.kernel.bind import Bound
from mainstay.kernel.bound import Ports
from mainstay.kernel.guard.notes import notes_of
from mainstay.kernel.providers import Resolver
from mainstay.kernel.records import Records, rows_of
from mainstay.kernel.scope import Scope
from mainstay.model.conditions import Compare
from mainstay.model.principal import Principal
from mainstay.model.service import Service
from mainstay.ports.clock import Clock
from mainstay.ports.epochs import RevocationsUnknown
from mainstay.ports.observer import Notice, Observer
from mainstay.ports.rows import Change
from mainstay.ports.signing import SigningAlgorithm
from mainstay.ports.tokens import TokenVerifier
from mainstay.ports.unit_of_work import Frame, UnitOfWork

CHORES_SECONDS = 30.0
"""How often uses are written, and what is of no use any more is deleted."""

_YEARS = 10 * 365 * 86_400
_MOST = MappingProxyType(
    {"access_seconds": 86_400, "refresh_seconds": _YEARS, "session_seconds": _YEARS, "idle_seconds": _YEARS}
)

KEPT = timedelta(days=1)
"""How long rows of sessions and keys stay that hold no more."""


class SessionParts:
    """What sessions are made of in one process: the rules, what is known of epochs and keys, and the verifier."""

    def __init__(
        self,
        identity: Identity,
        service: Service,
        settings: Settings,
        *,
        clock: Clock,
        observer: Observer,
        others: TokenVerifier | None,
    ) -> None:
        from mainstay.adapters.jose.own import OwnSigners

        self.rules = rules_of(identity, service, settings)
        self.cookie = session_cookie(settings)
        self.observer = observer
        self.epochs = StoredEpochs(clock, observer, retention=self.rules.retention)
        algorithm: SigningAlgorithm = settings.sessions.algorithm
        self.keys = SigningKeys(OwnSigners(), observer, algorithm=algorithm, life=self.rules.life)
        self.tokens = AccessTokens(self.keys, self.rules)
        self.uses = Uses(clock)
        self.verifier = IdentityVerifier(
            epochs=self.epochs,
            keys=self.keys,
            rules=self.rules,
            uses=self.uses,
            clock=clock,
            others=others,
            leeway=settings.auth.leeway,
            size=max(settings.auth.cache_size, 1),
        )
        self._records: Records | None = None

    def dependencies(self) -> dict[Any, Resolver]:
        """Return how use cases get what sessions are worked with."""
        book = Resolver(make=self._book, writes=True, notes=True)
        return {
            SessionBook: book,
            StoredSessionBook: book,
            Aftermath: Resolver(make=self._aftermath),
            Caller: Resolver(make=_caller),
            SessionRules: Resolver(make=lambda _scope: self.rules, shared=True),
            SigningKeys: Resolver(make=lambda _scope: self.keys, shared=True),
            AccessTokens: Resolver(make=lambda _scope: self.tokens, shared=True),
            IdentityVerifier: Resolver(make=lambda _scope: self.verifier, tasks=True, shared=True),
        }

    def _book(self, scope: Scope) -> StoredSessionBook:
        made: StoredSessionBook | None = scope.made.get(StoredSessionBook)
        if made is None:
            made = scope.made[StoredSessionBook] = StoredSessionBook(
                scope.unit,
                rules=self.rules,
                tokens=self.tokens,
                caller=_caller(scope),
                answering=scope,
                log=notes_of(scope),
                aftermath=self._aftermath(scope),
            )
        return made

    def _aftermath(self, scope: Scope) -> Aftermath:
        """Return the aftermath of a call: one, whoever asks for it."""
        made: Aftermath | None = scope.made.get(Aftermath)
        if made is None:
            made = scope.made[Aftermath] = Aftermath()
            if scope.stack is None:
                scope.stack = AsyncExitStack()
            scope.stack.push_async_callback(self._after, made)
        return made

    async def _after(self, aftermath: Aftermath) -> None:
        """Do what a call has left to be done when its outcome stands: before it is answered, and on every replica."""
        records, misused = self._records, aftermath.reused
        if records is None:
            return  # an operator's command, in a process that judges no credentials: those that do look by themselves
        if misused is not None:
            await records.change(lambda unit: end_family(unit, misused))
        if aftermath.raised or misused is not None:
            records.frame.store.ring()
            with suppress(RevocationsUnknown):  # whoever keeps them young tells of it
                await self.epochs.refresh()

    @property
    def _opened(self) -> Records:
        assert self._records is not None  # it is opened before calls come
        return self._records

    async def attach(self, bound: Bound) -> None:
        """Learn the keys, and make the first where there is none."""
        records = self._records = Records(system_frame(bound))
        self.verifier.open(CredentialRows(records, self.rules))
        self.epochs.open(records, self.keys.load)
        await self.keys.open(records)

    async def open(self, bound: Bound) -> None:
        """Learn the keys and the epochs. Raises ``Refusal`` where no key can be used."""
        await self.attach(bound)
        try:
            self.keys.current()
        except NoSigningKey as missing:
            raise Refusal(
                "no signing key of the database can be used",
                "put the secret that they were sealed with under sealing.previous, or: mainstay keys rotate --lead 0",
            ) from missing
        await self.epochs.refresh()

    @asynccontextmanager
    async def running(self, bound: Bound) -> AsyncIterator[None]:
        """Keep what is known young until the block ends."""
        await self.open(bound)
        bound.ports.store.listen(self.epochs.wake)
        tasks = [
            asyncio.create_task(self.epochs.run(), name="mainstay-epochs"),
            asyncio.create_task(self._chores(bound.ports), name="mainstay-session-chores"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self._do_chores(purge=False)

    async def _chores(self, ports: Ports) -> None:
        while True:
            await ports.clock.sleep(CHORES_SECONDS * (0.5 + ports.entropy.uniform()))
            await self._do_chores(purge=True)

    async def _do_chores(self, *, purge: bool) -> None:
        """Write what was noted of uses, and delete what is of no use. What fails is done the next time."""
        try:
            await self.uses.write(self._opened)
            if purge:
                await self._opened.change(self._purge)
                self.epochs.forget()
        except Exception as error:
            text = "what is kept of sessions could not be brought up to date; it is tried again"
            self.observer.observe(Notice("warning", "session_chores_failed", text, {}, error))

    async def _purge(self, unit: UnitOfWork) -> None:
        now = unit.frame.clock.now()
        past = now - KEPT
        for entity, field, moment in (
            (SubjectEpoch, "raised_at", now - self.rules.retention),
            (Session, "ended_at", past),
            (Session, "expires_at", past),
            (ApiKey, "revoked_at", past),
            (ApiKey, "expires_at", past),
        ):
            await unit.transaction().rows(entity).apply(Change(where=Compare(field, "le", moment), changes=None))


async def end_family(unit: UnitOfWork, session_id: UUID) -> None:
    """End a session of which a spent refresh token came again."""
    sessions = rows_of(unit, Session)
    session = await sessions.get(session_id, lock=True)
    if session.ended_at is None:
        await sessions.update(session, ended_at=unit.frame.clock.now(), end_reason="refresh_token_reused")
        await raise_epoch(unit, session.id)


def system_frame(bound: Bound) -> Frame:
    """Return what identity works on its own rows with, beside calls."""
    ports = bound.ports
    return Frame(Principal.system, "identity", ports.clock, ports.ids, ports.sealer, bound.plans, ports.store)


def issuer_of(identity: Identity, service: Service, settings: Settings) -> str:
    """Return what tokens say they are from: a URL, where the service is a provider for others."""
    if settings.sessions.issuer:
        return settings.sessions.issuer
    if identity.server is not None and not settings.is_production:
        return f"http://{settings.http.host}:{settings.http.port}"
    return f"urn:service:{service.name}"


def rules_of(identity: Identity, service: Service, settings: Settings) -> SessionRules:
    """Return the rules of sessions. Raises ``Refusal`` for a time that makes no sense."""
    for name, most in _MOST.items():
        seconds = getattr(identity, name)
        if not 1 <= seconds <= most:
            raise Refusal(f"Identity({name}={seconds}) is out of bounds", f"give it 1 to {most} seconds")
    chosen = settings.sessions
    return SessionRules(
        issuer=issuer_of(identity, service, settings),
        audience=chosen.audience or service.name,
        access=identity.access_seconds,
        refresh=identity.refresh_seconds,
        session=identity.session_seconds,
        idle=identity.idle_seconds,
        grace=chosen.grace_seconds,
        key_scopes=tuple(identity.api_key_scopes),
    )


def session_cookie(settings: Settings) -> SessionCookie:
    """Return the cookie of sessions as the settings have it."""
    chosen = settings.sessions
    plain = chosen.cookie == "plain"
    if chosen.cookie == "auto":
        plain = not settings.is_production and not settings.http.tls.certificate
    return SessionCookie(
        name="session" if plain else "__Host-session",
        secure=not plain,
        same_site="Strict" if chosen.same_site == "strict" else "Lax",
    )


def _caller(scope: Scope) -> Caller:
    call = scope.call
    return Caller(
        principal=call.principal,
        address=call.peer,
        agent=call.headers("user-agent") or "",
        credentials=call.credentials,
    )
