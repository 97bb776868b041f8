"""Logging in with an outside provider: doors for the team's own page, which the provider sends people back to.

The page begins a log-in and keeps the ``binding`` that it is given (in the browser's ``sessionStorage``, or in the
app); it sends the browser to the ``location``. When the browser comes back with ``state`` and ``code``, it hands both
over with the binding. So an answer is taken only where its log-in was begun: nobody can be logged in to another's
account by a link. What the service itself must know meanwhile travels sealed in the state.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from mainstay.identity.accounts.entry import Entry
from mainstay.identity.accounts.inputs import Carrier, LoggedIn
from mainstay.identity.oauth.joining import Joining, OutsideRules
from mainstay.identity.oauth.opaque import digest_of, is_secret, new_secret
from mainstay.identity.oauth.pkce import challenge_of
from mainstay.identity.oauth.problems import AccountsOnly
from mainstay.model.fields import field
from mainstay.model.principal import Principal
from mainstay.model.problem import Fault, Invalid, NotFound, Unauthenticated
from mainstay.model.structs import Dto
from mainstay.ports.clock import Clock
from mainstay.ports.ids import Ids
from mainstay.ports.outside_login import OutsidePerson, OutsideProviders, OutsideRefused
from mainstay.ports.sealer import Sealer
from mainstay.ports.security_log import SecurityEvent, SecurityLog

STATE_SECONDS = 600
"""How long a person may take at the provider."""

_CONTEXT = b"outside log-in:"


class BeginOutside(Dto):
    """A log-in to begin. ``redirect_uri`` is the page that the provider sends the browser back to: a listed one."""

    redirect_uri: str = field(max_length=2000)


class OutsideBegun(Dto):
    """Where the browser goes, and what the page keeps until it is back."""

    location: str
    binding: str


class FinishOutside(Dto):
    """What the browser came back with, and what was kept. ``iss`` is handed over where it is there (RFC 9207)."""

    state: str = field(max_length=4000)
    binding: str = field(max_length=200)
    code: str | None = field(default=None, max_length=4000)
    error: str | None = field(default=None, max_length=200)
    iss: str | None = field(default=None, max_length=500)


class LogInOutside(FinishOutside):
    """As ``FinishOutside``, with what the client wants to call with."""

    means: Carrier = Carrier.TOKENS


class StateRefused(Unauthenticated):
    """The log-in was not begun here, by this browser, or too long ago."""


class _State(msgspec.Struct, frozen=True):
    """What the service must know when the browser is back."""

    redirect_uri: str
    verifier: str
    nonce: str
    binding: str  # the digest
    ends: int
    account: UUID | None  # that a link is for


async def begin_outside_login(
    provider: str,
    begin: BeginOutside,
    providers: OutsideProviders,
    rules: OutsideRules,
    sealer: Sealer,
    ids: Ids,
    clock: Clock,
) -> OutsideBegun:
    """Begin to log in with a provider. The page keeps the binding, and sends the browser to the location."""
    return await _begin(provider, begin, providers, rules, sealer, ids, clock, None)


async def begin_outside_link(
    provider: str,
    begin: BeginOutside,
    who: Principal,
    providers: OutsideProviders,
    rules: OutsideRules,
    sealer: Sealer,
    ids: Ids,
    clock: Clock,
) -> OutsideBegun:
    """Begin to link the caller's account to who they are at a provider, so that they can log in with it."""
    return await _begin(provider, begin, providers, rules, sealer, ids, clock, who.id)


async def _begin(
    provider: str,
    begin: BeginOutside,
    providers: OutsideProviders,
    rules: OutsideRules,
    sealer: Sealer,
    ids: Ids,
    clock: Clock,
    account: UUID | None,
) -> OutsideBegun:
    known = rules.providers.get(provider)
    if known is None:
        raise NotFound
    if begin.redirect_uri not in known.redirect:
        raise Invalid(faults=[Fault("invalid", "is one of the pages that are listed", pointer="/redirect_uri")])
    binding = new_secret(ids)
    state = _State(
        redirect_uri=begin.redirect_uri,
        verifier=new_secret(ids),
        nonce=new_secret(ids),
        binding=digest_of(binding),
        ends=int(clock.time()) + STATE_SECONDS,
        account=account,
    )
    location = await providers.location(
        provider,
        redirect_uri=state.redirect_uri,
        state=sealer.seal(msgspec.json.encode(state), _CONTEXT + provider.encode()),
        nonce=state.nonce,
        challenge=challenge_of(state.verifier),
    )
    return OutsideBegun(location=location, binding=binding)


async def log_in_outside(
    provider: str,
    finish: LogInOutside,
    providers: OutsideProviders,
    rules: OutsideRules,
    sealer: Sealer,
    clock: Clock,
    joining: Joining,
    entry: Entry,
    log: SecurityLog,
) -> LoggedIn:
    """Log in with what the browser came back with from a provider: to a session, or to a challenge for the next step.

    The account is the one that was linked to this person before; else, where the provider is trusted for addresses and
    says that theirs was verified, the one that has it and has shown that it is theirs; else a new one. A second factor
    that the account has here, or that the service requires, is asked for behind that.
    """
    state = _state(provider, finish, rules, sealer, clock)
    if state.account is not None:
        raise StateRefused
    # It waits on the outside: before the first row is touched.
    person = await _person(provider, finish, state, providers, log)
    account = await joining.account(rules.providers[provider], person)
    facts = {"provider": provider}
    log.note(SecurityEvent(kind="log_in.outside", subject=account.id, actor=account.id, facts=facts))
    return await entry.behind_provider(account, finish.means)


async def link_outside(
    provider: str,
    finish: FinishOutside,
    who: Principal,
    providers: OutsideProviders,
    rules: OutsideRules,
    sealer: Sealer,
    clock: Clock,
    joining: Joining,
    log: SecurityLog,
) -> None:
    """Link the caller's account to who they are at a provider."""
    state = _state(provider, finish, rules, sealer, clock)
    if state.account != who.id:
        raise StateRefused
    person = await _person(provider, finish, state, providers, log)
    account = await joining.own(who.id)
    if account is None:
        raise AccountsOnly
    await joining.link(account, person)
    facts = {"provider": provider}
    log.note(SecurityEvent(kind="outside.linked", subject=account.id, actor=account.id, facts=facts))


def _state(provider: str, finish: FinishOutside, rules: OutsideRules, sealer: Sealer, clock: Clock) -> _State:
    """Open a state. Raises ``StateRefused`` where it is not of this provider and this browser, or too old."""
    if provider not in rules.providers:
        raise NotFound
    opened = sealer.open(finish.state, _CONTEXT + provider.encode())
    if opened is None:
        raise StateRefused
    state = msgspec.json.decode(opened, type=_State)
    if clock.time() >= state.ends or not is_secret(finish.binding, state.binding):
        raise StateRefused
    return state


async def _person(
    provider: str, finish: FinishOutside, state: _State, providers: OutsideProviders, log: SecurityLog
) -> OutsidePerson:
    if finish.error is not None or finish.code is None:
        raise OutsideRefused("the provider says that nobody has logged in")
    try:
        return await providers.person(
            provider,
            code=finish.code,
            redirect_uri=state.redirect_uri,
            verifier=state.verifier,
            nonce=state.nonce,
            issuer=finish.iss,
        )
    except OutsideRefused:
        log.note(SecurityEvent(kind="outside.refused", outcome="failure", facts={"provider": provider}))
        raise
