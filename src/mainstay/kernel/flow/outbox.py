"""The outbox: events become rows of the transaction that emitted them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mainstay.kernel.flow.records import OutboxMessage
from mainstay.kernel.scope import Scope
from mainstay.model.principal import Principal
from mainstay.model.structs import Event
from mainstay.ports.clock import Clock
from mainstay.ports.ids import Ids

_encode = msgspec.json.Encoder(decimal_format="string").encode


class UnknownEvent(TypeError):
    """A use case emitted an event that no module of the service declares."""


def bind_outbox(names: Mapping[type[Event], str], ids: Ids, clock: Clock) -> Callable[[Scope], None]:
    """Return the function that queues the events of a scope into its transaction."""

    def write(scope: Scope) -> None:
        call = scope.call
        now = clock.now()
        principal = encode_principal(call.principal)
        messages = []
        for emitted in scope.emitted:
            name = names.get(type(emitted.event))
            if name is None:
                raise UnknownEvent(f"{type(emitted.event).__name__} is declared in no module of this service")
            messages.append(
                OutboxMessage(
                    id=ids.next(),
                    version=1,
                    created_at=now,
                    updated_at=now,
                    event=name,
                    key=emitted.key,
                    payload=_encode(emitted.event).decode(),
                    principal=principal,
                    request_id=call.request_id,
                    traceparent=call.traceparent,
                    due_at=now,
                )
            )
        scope.unit.transaction().rows(OutboxMessage).insert(messages)

    return write


class _Who(msgspec.Struct, omit_defaults=True):
    id: str
    subject: str
    roles: list[str] = []
    scopes: list[str] = []
    tenant: str | None = None
    claims: dict[str, Any] = {}
    authenticated: bool = True
    is_system: bool = False
    actor: _Who | None = None
    certificate: str | None = None


def encode_principal(who: Principal) -> str:
    """Return a principal as JSON text, the same text for the same principal.

    What the service knows of it, and the circumstances of its call, are not part of it: a consumer finds out its own.
    """
    return _encode(_told(who)).decode()


def _told(who: Principal) -> _Who:
    return _Who(
        str(who.id),
        who.subject,
        sorted(who.roles),
        sorted(who.scopes),
        who.tenant,
        dict(who.claims),
        who.authenticated,
        who.is_system,
        None if who.actor is None else _told(who.actor),
        who.certificate,
    )


def decode_principal(text: str) -> Principal:
    """Return the principal that a text was made from."""
    return msgspec.json.decode(text, type=Principal)
