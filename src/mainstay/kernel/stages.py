"""The stages of the pipeline, each bound to one operation. A stage knows no protocol: it takes a call or raises.

They stand in the order admit, authenticate, limit, caller, authorise, read, validate, once. One that an operation does
not need is not in its tuple.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, NamedTuple, NoReturn

from mainstay.kernel.bound import Ports, Stage
from mainstay.kernel.call import Call
from mainstay.model.conditions import FALSE
from mainstay.model.limits import Limit
from mainstay.model.operation import SelfAuthenticated
from mainstay.model.policy import Anyone, Policy
from mainstay.model.principal import Principal
from mainstay.model.problem import Forbidden, TooMany, Unauthenticated
from mainstay.ports.limiter import Limiter, Verdict
from mainstay.ports.tokens import TokenVerifier

FAILED_AUTHENTICATION = Limit(name="failed-authentication", quota=30, window=60, by="address", burst=30)
"""How many refused credentials one address may send."""


class CredentialsMissing(Unauthenticated, code="credentials_missing"):
    """Credentials are needed: send Authorization: Bearer and a token."""


class SchemeRefused(Unauthenticated, code="scheme_refused"):
    """Only bearer tokens are accepted."""


CHALLENGE = {"www-authenticate": "Bearer"}


def admit(limits: Sequence[Limit], limiter: Limiter) -> Stage:
    """Charge the limits that need no principal: by address and global, and refuse an address that fails to log in."""
    per_call = tuple(limits)

    def stage(call: Call) -> Awaitable[None] | None:
        charges = [(one, f"{one.name}:{call.peer if one.by == 'address' else '*'}") for one in per_call]
        return _charge(limiter, charges, call)

    return stage


def limit(limits: Sequence[Limit], limiter: Limiter, operation: str) -> Stage:
    """Charge the limits of the operation and of the principal; a caller without credentials counts by address."""
    per_call = tuple((one, f"{one.name}:{operation}:") for one in limits)

    def stage(call: Call) -> Awaitable[None] | None:
        who = call.principal
        own = f"{who.tenant or ''}/{who.id}" if who.authenticated else call.peer
        charges = [(one, prefix + (own if one.by == "principal" else "*")) for one, prefix in per_call]
        return _charge(limiter, charges, call)

    return stage


def _charge(limiter: Limiter, charges: list[tuple[Limit, str]], call: Call) -> Awaitable[None] | None:
    verdicts = limiter.charge(charges)
    if isinstance(verdicts, Awaitable):
        return _charge_later(verdicts, call)
    _judge(verdicts, call)
    return None


async def _charge_later(waiting: Awaitable[Sequence[Verdict]], call: Call) -> None:
    _judge(await waiting, call)


def _judge(verdicts: Sequence[Verdict], call: Call) -> None:
    call.verdicts = [*call.verdicts, *verdicts]
    refused = [v for v in verdicts if not v.allowed]
    if refused:
        worst = max(refused, key=lambda v: v.retry_after)
        raise TooMany(
            f"more than {worst.limit.quota} calls in {worst.limit.window} s",
            retry_after=worst.retry_after,
            limit=worst.limit.name,
        )


def authenticate(tokens: TokenVerifier | None, limiter: Limiter) -> Stage:
    """Turn credentials into a principal. Refused ones are charged to the address, which is refused in turn."""

    def stage(call: Call) -> Awaitable[None] | None:
        token = call.credentials
        if token is None:
            if call.scheme is not None:
                raise SchemeRefused(headers=CHALLENGE)
            return None
        if tokens is None:
            raise SchemeRefused("this service takes no credentials", headers=CHALLENGE)
        try:
            found = tokens.verify(token)
        except Unauthenticated as refusal:
            return refuse(limiter, call, refusal)
        if isinstance(found, Principal):
            by = call.principal.certificate
            call.principal = found if by is None else found.connected_by(by)
            return None
        return _authenticate_later(found, limiter, call)

    return stage


async def _authenticate_later(waiting: Awaitable[Principal], limiter: Limiter, call: Call) -> None:
    try:
        found = await waiting
        call.principal = found.connected_by(call.principal.certificate)
    except Unauthenticated as refusal:
        await refuse(limiter, call, refusal)


def refuse(limiter: Limiter, call: Call, refusal: Unauthenticated) -> Awaitable[None]:
    """Charge the address for a refusal and raise it, or 429 where the address has had too many; now or when awaited."""
    verdicts = limiter.charge([(FAILED_AUTHENTICATION, f"{FAILED_AUTHENTICATION.name}:{call.peer}")])
    if not isinstance(verdicts, Awaitable):
        _raise_refusal(verdicts, refusal)
    return _refuse_later(verdicts, refusal)


async def _refuse_later(waiting: Awaitable[Sequence[Verdict]], refusal: Unauthenticated) -> NoReturn:
    _raise_refusal(await waiting, refusal)


def _raise_refusal(verdicts: Sequence[Verdict], refusal: Unauthenticated) -> NoReturn:
    if not verdicts[0].allowed:
        detail = "too many refused credentials from this address"
        raise TooMany(detail, retry_after=verdicts[0].retry_after) from refusal
    raise refusal


def authorise(policy: Policy) -> Stage | None:
    """Decide the part of a policy that looks at the call only. None where anyone may."""
    if isinstance(policy, Anyone | SelfAuthenticated):
        return None

    def stage(call: Call) -> None:
        if policy.reduce(call.principal) is FALSE:
            if call.principal.authenticated:
                raise Forbidden
            raise CredentialsMissing(headers=CHALLENGE)

    return stage


def read() -> Stage:
    """Wait for the body where it has not arrived yet."""

    def stage(call: Call) -> Awaitable[None] | None:
        return _read(call) if call.body is None and call.read is not None else None

    return stage


async def _read(call: Call) -> None:
    reader: Any = call.read
    call.body = await reader()


class Head(NamedTuple):
    """The stages that need no body, and those of them that judge the caller."""

    stages: tuple[Stage, ...]
    judging: tuple[Stage, ...]
    authorise: Stage | None


def head_stages(
    ports: Ports,
    policy: Policy,
    service_limits: Sequence[Limit],
    own: Sequence[Limit],
    operation: str,
    caller: Stage | None = None,
) -> Head:
    """Return the stages that need no body, in order: admit, authenticate, limit, caller, authorise.

    ``caller`` makes the caller whole: behind the limits, because it may ask the store.
    """
    everywhere = (*service_limits, *own)
    early = [one for one in everywhere if one.by in ("address", "global")]
    late = [one for one in everywhere if one.by in ("principal", "operation")]
    own_way = isinstance(policy, SelfAuthenticated)
    who, allowed = None if own_way else authenticate(ports.tokens, ports.limiter), authorise(policy)
    stages = [
        admit(early, ports.limiter) if early else None,
        who,
        limit(late, ports.limiter, operation) if late else None,
        caller,
        allowed,
    ]
    present = [stage for stage in stages if stage is not None]
    judging = [stage for stage in (who, caller, allowed) if stage is not None]
    return Head(tuple(present), tuple(judging), allowed)
