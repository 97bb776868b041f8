"""Idempotency: a command that carries a key has its effect once, and its reply is given again.

The header and its problems follow draft-ietf-httpapi-idempotency-key-header. The scope of a key is tenant, principal
and operation; its fingerprint is the path, the query, the body and If-Match. A claim, taken before the use case runs,
answers a concurrent duplicate at once. The reply is stored in the transaction of the effect, and only then.
"""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import timedelta
from hashlib import blake2b

import msgspec

from mainstay.kernel.bound import Ports, Stage
from mainstay.kernel.call import Call, Reply
from mainstay.kernel.flow.records import IdempotencyRecord
from mainstay.kernel.received import Received
from mainstay.model.conditions import Compare
from mainstay.model.problem import (
    CommitUnknown,
    Conflict,
    Invalid,
    Malformed,
    SerializationConflict,
    UniqueConflict,
)
from mainstay.ports.rows import Change, Query
from mainstay.ports.store import Transaction

RETENTION = timedelta(hours=24)
MAX_KEY_LENGTH = 255
SETTLE_SECONDS = 5.0  # how long each look for a record may take, after a commit that ended unknown
LOOKS = 3


class IdempotencyKeyRequired(Malformed, hint="Send an Idempotency-Key of your own making, a UUID for example."):
    """This operation needs an Idempotency-Key."""


class IdempotencyKeyInvalid(Malformed):
    """An Idempotency-Key has 1 to 255 visible characters."""


class IdempotencyKeyReused(Invalid, hint="Make a new key for a new request."):
    """This Idempotency-Key was used for another request."""


class IdempotencyInFlight(Conflict, hint="Wait for the first request to end, then repeat this one."):
    """A request with this Idempotency-Key is under way."""


class StoredReply(msgspec.Struct, frozen=True, array_like=True):
    """The part of a reply that is given again."""

    body: bytes
    status: int
    version: int | None
    view: str
    location: str | None
    headers: tuple[tuple[str, str], ...]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(StoredReply).decode


def once(ports: Ports, *, required: bool) -> Stage:
    """Return the stage that claims a key and, where the reply is known, sets it."""

    def stage(call: Call) -> Awaitable[None] | None:
        key = call.idempotency_key
        if key is None:
            if required:
                raise IdempotencyKeyRequired
            return None
        if not 1 <= len(key) <= MAX_KEY_LENGTH or not key.isprintable():
            raise IdempotencyKeyInvalid
        return _once(call, key, ports)

    return stage


async def _once(call: Call, key: str, ports: Ports) -> None:
    scope = _scope(call, key)
    if not await ports.store.claims.take(scope):
        raise IdempotencyInFlight(retry_after=1.0)
    call.claim = scope
    call.fingerprint = _fingerprint(call)
    found = await _look_up(scope, ports, call.deadline)
    if found is None:
        return
    if found.expires_at <= ports.clock.now():
        call.expired = True
        return
    if found.fingerprint != call.fingerprint.hex():
        raise IdempotencyKeyReused
    call.replayed = True
    call.reply = _reply(found, replayed=True)
    if ports.recent is not None:
        ports.recent.note(call.principal)  # it was committed a moment ago, maybe by another host


async def _look_up(scope: bytes, ports: Ports, deadline: float | None = None) -> IdempotencyRecord | None:
    transaction = ports.store.begin(write=False, single=True, latest=True, deadline=deadline)
    try:
        rows = transaction.rows(IdempotencyRecord)
        found = await rows.fetch(Query(where=Compare("scope", "eq", scope.hex()), limit=1))
    finally:
        await transaction.rollback()
    return found[0] if found else None


def _reply(record: IdempotencyRecord, *, replayed: bool) -> Reply:
    stored = _decode(record.reply)
    return Reply(
        body=stored.body,
        status=stored.status,
        version=stored.version,
        view=stored.view,
        location=stored.location,
        headers=stored.headers,
        replayed=replayed,
    )


async def recall(call: Call, ports: Ports) -> Reply | None:
    """Return the reply that was committed for the key of a command since it was claimed, by whichever attempt.

    It is another's where the claim was lost with the connection that held it.
    """
    assert call.claim is not None  # whoever looks has one
    found = await _look_up(call.claim, ports, ports.clock.monotonic() + SETTLE_SECONDS)
    ours = found is not None and found.expires_at > ports.clock.now() and found.fingerprint == call.fingerprint.hex()
    return _reply(found, replayed=False) if found is not None and ours else None


async def settle(call: Call, ports: Ports) -> Reply | None:
    """Return the reply of a command whose commit ended unknown, where it was committed all the same.

    Its record was committed with it or not at all. None says that it is absent under its own lock: the attempt has
    ended, or comes too late, for only one of two can commit the record. Raises ``CommitUnknown`` where that cannot be
    told, and what the store raises.
    """
    for _ in range(LOOKS):
        found = await recall(call, ports)
        if found is not None:
            return found
        if await _is_absent(call, ports):
            return None
    raise CommitUnknown


async def _is_absent(call: Call, ports: Ports) -> bool:
    """Put the record of a key in place and take it away again: a transaction that has written it is waited for."""
    transaction = ports.store.begin(write=True, deadline=ports.clock.monotonic() + SETTLE_SECONDS)
    try:
        store_reply(call, Reply(), transaction, ports)
        await transaction.flush()
    except (UniqueConflict, SerializationConflict):
        return False
    finally:
        await transaction.rollback()
    return True


def store_reply(call: Call, reply: Reply, transaction: Transaction, ports: Ports) -> None:
    """Queue the record of a reply into the transaction of its effect."""
    now = ports.clock.now()
    scope = call.claim.hex() if call.claim is not None else ""
    # Nothing to replay where a secret was shown: the record says that the key is used, not what it gave.
    kept = StoredReply(
        b"" if reply.secret else reply.body, reply.status, reply.version, reply.view, reply.location, reply.headers
    )
    rows = transaction.rows(IdempotencyRecord)
    if call.expired:
        past = Compare("scope", "eq", scope) & Compare("expires_at", "le", now)
        rows.enqueue(Change(where=past, changes=None))
    rows.insert(
        [
            IdempotencyRecord(
                id=ports.ids.next(),
                version=1,
                created_at=now,
                updated_at=now,
                scope=scope,
                fingerprint=call.fingerprint.hex(),
                reply=_encode(kept),
                expires_at=now + RETENTION,
            )
        ]
    )


def shown_by(reply: bytes) -> str:
    """Return what a stored reply shows, as text."""
    stored = _decode(reply)
    told = (stored.location or "", *(value for _, value in stored.headers))
    return "\n".join((stored.body.decode(errors="replace"), *told))


def emptied_reply(reply: bytes) -> bytes:
    """Return a stored reply that says no more than that its key is used."""
    return _encode(msgspec.structs.replace(_decode(reply), body=b"", location=None, headers=()))


def _scope(call: Call, key: str) -> bytes:
    who = call.principal
    own = f"{who.id}/{who.subject}" if who.authenticated else f"anonymous/{call.peer}"
    if who.actor is not None:
        own += f"/{who.actor.id}/{who.actor.subject}"
    text = "\x00".join((who.tenant or "", own, call.operation.name, key))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).digest()


def _fingerprint(call: Call) -> bytes:
    body = call.body
    if isinstance(body, Received):
        body = body.digest
    elif not isinstance(body, bytes):
        body = msgspec.json.encode(body, order="deterministic")
    digest = blake2b(digest_size=20)
    for part in (repr(sorted(call.arguments.items())), repr(sorted(call.query)), repr(call.if_match), call.filename):
        digest.update((part or "").encode("utf-8", "surrogatepass") + b"\x00")
    digest.update(body)
    return digest.digest()
