"""The keys that tokens are signed with: rows, known to every replica, of which one follows another with an overlap.

A new key is shown and checked with before anything is signed with it, so that replicas and outsiders know it by then.
The one before is checked with until the last token that it signed has ended. Both are moments in the rows: nothing
must happen at them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from mainstay.identity.sessions.entities import SigningKey
from mainstay.identity.sessions.epochs import SIGNING_KEYS, raise_epoch
from mainstay.identity.sessions.records import record
from mainstay.kernel.records import Records, rows_of
from mainstay.model.inputs import Sort
from mainstay.model.problem import Unavailable
from mainstay.ports.observer import Notice, Observer
from mainstay.ports.signing import Signer, Signers, SigningAlgorithm
from mainstay.ports.unit_of_work import UnitOfWork

ACCESS_TYPE = "at+jwt"  # RFC 9068
LEAD = timedelta(minutes=5)
"""How long before it signs a key is shown, where nobody says otherwise: as long as outsiders may keep the document."""

_ORDER = (Sort("ordinal"),)
_KID_DIGITS = 64  # of the first segment of a token, at its end: those that the key id and what follows it take up


class NoSigningKey(Unavailable):
    """There is no key to sign with at this moment."""


class KnownKey(msgspec.Struct, frozen=True):
    """A key that tokens are checked with. The signer is None where its private part cannot be opened."""

    row: SigningKey
    signer: Signer | None
    public: Mapping[str, str]

    def verifies(self, now: datetime) -> bool:
        """Whether tokens are still checked with it."""
        return self.row.verifies_until is None or now < self.row.verifies_until

    @property
    def ends(self) -> float:
        """Until when tokens are checked with it, in seconds since the epoch."""
        until = self.row.verifies_until
        return float("inf") if until is None else until.timestamp()


class SigningKeys:
    """The keys of a service. ``life`` is how long a token may hold: so long a key outlives its successor's begin."""

    def __init__(self, signers: Signers, observer: Observer, *, algorithm: SigningAlgorithm, life: timedelta) -> None:
        self._signers = signers
        self._observer = observer
        self._algorithm: SigningAlgorithm = algorithm
        self._life = life
        self._records: Records | None = None
        self._keys: tuple[KnownKey, ...] = ()  # in the order of their making
        self._of_header: dict[bytes, KnownKey] = {}
        self._beginnings: tuple[bytes, ...] = ()  # of the headers of all keys of our algorithms

    async def open(self, records: Records) -> None:
        """Learn the keys that there are, and make the first where there is none."""
        self._records = records
        await self.load()
        if not self._keys:
            await records.change(self._make_first)
            await self.load()

    async def load(self) -> None:
        """Learn the keys that there are now."""
        known = {key.row.kid: key for key in self._keys}
        now = self._open.frame.clock.now()
        rows = await self._open.all(SigningKey, sort=_ORDER)
        keys = [self._known(row, known.get(row.kid)) for row in rows]
        self._keys = tuple(key for key in keys if key.verifies(now))
        self._of_header = {key.signer.header(ACCESS_TYPE): key for key in self._keys if key.signer is not None}
        self._beginnings = tuple({segment[:-_KID_DIGITS] for segment in self._of_header})

    @property
    def _open(self) -> Records:
        assert self._records is not None  # it is opened before it is asked
        return self._records

    def _known(self, row: SigningKey, before: KnownKey | None) -> KnownKey:
        if before is not None and before.signer is not None:
            return KnownKey(row, before.signer, before.public)
        private = self._open.frame.sealer.open(row.private, _context(row.kid))
        if private is None:
            text = "a signing key cannot be opened: is the secret that it was sealed with under sealing.previous?"
            self._observer.observe(Notice("error", "signing_key_sealed", text, {"kid": row.kid}))
        signer = None if private is None else self._signers.load(private.decode())
        return KnownKey(row, signer, msgspec.json.decode(row.public))

    def of_header(self, segment: bytes) -> KnownKey | None:
        """Return the key of a token that begins with a segment. A key that is past its time is none."""
        return self._of_header.get(segment)

    def may_be_ours(self, token: bytes) -> bool:
        """Whether a token begins as ours do up to the key id."""
        return bool(self._beginnings) and token.startswith(self._beginnings)

    def listed(self) -> tuple[KnownKey, ...]:
        """Return the keys that tokens are checked with, the oldest first."""
        now = self._open.frame.clock.now()
        return tuple(key for key in self._keys if key.verifies(now))

    def current(self) -> Signer:
        """Return what signs now. Raises ``NoSigningKey``."""
        now = self._open.frame.clock.now()
        for key in reversed(self._keys):
            if key.row.signs_from <= now and key.verifies(now) and key.signer is not None:
                return key.signer
        raise NoSigningKey(retry_after=2.0)

    async def sign(self, claims: Mapping[str, Any], *, typ: str = ACCESS_TYPE) -> str:
        """Return the claims as a token of the service's own, signed with the key of now.

        Verifying is cheap and often, signing is neither: it is done here and now all the same, in some 50 microseconds.
        """
        return self.current().sign(claims, typ)

    def public_jwks(self) -> bytes:
        """Return the public keys as a JWK set (RFC 7517, section 5): those to come and those that end as well."""
        return msgspec.json.encode({"keys": [key.public for key in self.listed()]})

    def algorithms(self) -> tuple[str, ...]:
        """Return what these keys sign by (RFC 7518, section 3.1), each once."""
        return tuple(dict.fromkeys(key.row.algorithm for key in self.listed()))

    async def rotate(self, lead: timedelta = LEAD) -> SigningKey:
        """Make a key that signs after ``lead``. Those of now end when their last token has ended."""
        made = await self._open.change(lambda unit: self._rotate(unit, lead))
        await self.load()
        return made

    async def retire(self, kid: str) -> SigningKey | None:
        """Have a key count no more, at once: for one that was stolen. Its tokens hold no more.

        Where none is left that signs now, another is made that does, and is returned. Raises ``NotFound`` for a key
        that there is not.
        """
        made = await self._open.change(lambda unit: self._retire(unit, kid))
        await self.load()
        return made

    async def _make_first(self, unit: UnitOfWork) -> SigningKey | None:
        rows = rows_of(unit, SigningKey)
        if await rows.count():
            return None  # another replica was quicker
        return await self._add(unit, 1, unit.frame.clock.now())

    async def _rotate(self, unit: UnitOfWork, lead: timedelta) -> SigningKey:
        rows, begins = rows_of(unit, SigningKey), unit.frame.clock.now() + lead
        ordinal = 0
        async for key in rows.stream(sort="ordinal"):
            ordinal = key.ordinal
            if key.verifies_until is None:
                await rows.update(key, verifies_until=max(begins, key.signs_from) + self._life)
        await raise_epoch(unit, SIGNING_KEYS)
        made = await self._add(unit, ordinal + 1, begins)
        await record(unit, "signing_key.rotated", kid=made.kid, signs_from=begins.isoformat())
        return made

    async def _retire(self, unit: UnitOfWork, kid: str) -> SigningKey | None:
        rows, now = rows_of(unit, SigningKey), unit.frame.clock.now()
        stolen = await rows.one(kid=kid)
        left, ordinal = False, 0
        async for key in rows.stream(sort="ordinal"):
            ordinal = key.ordinal
            left = left or (key.kid != kid and key.verifies_until is None and key.signs_from <= now)
        await rows.update(stolen, verifies_until=now)
        await raise_epoch(unit, SIGNING_KEYS)
        await record(unit, "signing_key.retired", kid=kid)
        return None if left else await self._add(unit, ordinal + 1, now)

    async def _add(self, unit: UnitOfWork, ordinal: int, begins: datetime) -> SigningKey:
        private = self._signers.make(self._algorithm)
        signer = self._signers.load(private)
        sealed = unit.frame.sealer.seal(private.encode(), _context(signer.kid))
        key = SigningKey(
            ordinal=ordinal,
            kid=signer.kid,
            algorithm=signer.algorithm,
            public=msgspec.json.encode(signer.public_jwk()).decode(),
            private=sealed,
            signs_from=begins,
        )
        await record(unit, "signing_key.created", kid=key.kid)
        return await rows_of(unit, SigningKey).add(key)


def _context(kid: str) -> bytes:
    return b"signing key:" + kid.encode()
