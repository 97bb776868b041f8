"""Second factors: the generator of an account, and the recovery codes that stand in for it."""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Sequence
from hashlib import blake2b
from uuid import UUID

from mainstay.identity.accounts import totp
from mainstay.identity.accounts.brakes import Brakes
from mainstay.identity.accounts.entities import Account, KnownPlace, RecoveryCode, SecondFactor
from mainstay.identity.accounts.looking import digest_of, found
from mainstay.identity.accounts.problems import SecondFactorAbsent
from mainstay.ports.clock import Clock
from mainstay.ports.ids import Ids
from mainstay.ports.read_ahead import ReadAhead
from mainstay.ports.repository import Repository
from mainstay.ports.sealer import Sealer

CODES = 10
"""Recovery codes that an account is given at a time."""

_PARTS = (6, 6, 6, 6)  # of 32 letters: 120 bits, so that a plain digest keeps them


class SecondFactors:
    """The second factors of accounts, in the transaction of this call."""

    def __init__(
        self,
        factors: Repository[SecondFactor],
        recovery: Repository[RecoveryCode],
        places: ReadAhead[KnownPlace],
        brakes: Brakes,
        sealer: Sealer,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._factors = factors
        self._recovery = recovery
        self._places = places
        self._brakes = brakes
        self._sealer = sealer
        self._clock = clock
        self._ids = ids

    async def brake(self, account: Account) -> None:
        """Count a code, before the transaction. Raises ``TooMany``."""
        place = await found(self._places.one(digest=self._brakes.place(account.email)))
        await self._brakes.second_step(account.id, account.email, None if place is None else place.version)

    async def of(self, account: UUID) -> SecondFactor | None:
        """Return the factor of an account, where one counts."""
        factor = await found(self._factors.one(account_id=account))
        return factor if factor is not None and factor.confirmed_at is not None else None

    async def present(self, account: UUID) -> SecondFactor:
        """Return the factor of an account. Raises ``SecondFactorAbsent``."""
        factor = await self.of(account)
        if factor is None:
            raise SecondFactorAbsent
        return factor

    async def prepare(self, account: UUID) -> bytes:
        """Return the secret of a new generator, which counts once it is confirmed; one before it is forgotten."""
        secret = totp.secret_from(self._ids.token(), self._ids.token())
        waiting = await found(self._factors.one(account_id=account))
        if waiting is None:
            await self._factors.add(SecondFactor(account_id=account, sealed=self._sealed(secret, account)))
        else:
            await self._factors.update(waiting, sealed=self._sealed(secret, account), last_step=0, confirmed_at=None)
        return secret

    async def confirm(self, account: UUID, code: str) -> bool:
        """Let the generator that waits count, where the code is of it."""
        waiting = await found(self._factors.one(account_id=account))
        if waiting is None or waiting.confirmed_at is not None:
            raise SecondFactorAbsent("no second factor waits to be confirmed")
        return await self._accept(waiting, code, confirmed_at=self._clock.now())

    async def accept(self, factor: SecondFactor, code: str) -> str | None:
        """Use a code up and say what it was, ``totp`` or ``recovery_code``; None where it is neither."""
        if len(code) == totp.DIGITS:
            return "totp" if await self._accept(factor, code) else None
        mark = digest_of(str(factor.account_id), _plain(code))
        row = await found(self._recovery.one(digest=mark, account_id=factor.account_id))
        if row is None:
            return None
        await self._recovery.delete(row)
        return "recovery_code"

    async def remove(self, factor: SecondFactor) -> None:
        """Take a factor away, with its recovery codes."""
        await self._factors.delete(factor)
        await self._drop_codes(factor.account_id)

    async def new_codes(self, account: UUID) -> Sequence[str]:
        """Return new recovery codes; those before them are good no more."""
        await self._drop_codes(account)
        codes = [_recovery_code(self._ids.token(), self._ids.token()) for _ in range(CODES)]
        for code in codes:
            await self._recovery.add(RecoveryCode(account_id=account, digest=digest_of(str(account), _plain(code))))
        return codes

    async def _drop_codes(self, account: UUID) -> None:
        page = await self._recovery.page(account_id=account, limit=200)
        for row in page.items:
            await self._recovery.delete(row)

    async def _accept(self, factor: SecondFactor, code: str, **changes: object) -> bool:
        """Use a code of the generator up. What is stored is sealed anew, by the secret of now."""
        secret = self._sealer.open(factor.sealed, _context(factor.account_id))
        step = None if secret is None else totp.step_of(secret, code, self._clock.time(), factor.last_step)
        if secret is None or step is None:
            return False
        sealed = self._sealed(secret, factor.account_id)
        await self._factors.update(factor, last_step=step, sealed=sealed, **changes)
        return True

    def _sealed(self, secret: bytes, account: UUID) -> str:
        return self._sealer.seal(secret, _context(account))


def _context(account: UUID) -> bytes:
    return b"identity.totp:" + account.bytes


def _plain(code: str) -> str:
    return code.replace("-", "").replace(" ", "").lower()


def _recovery_code(*random: str) -> str:
    """Return a code of 24 letters and digits in four parts, made of more random bits than it has."""
    text = b32encode(blake2b("".join(random).encode(), digest_size=15, person=b"mainstay.codes").digest()).decode()
    starts = [sum(_PARTS[:place]) for place in range(len(_PARTS))]
    return "-".join(text[start : start + size] for start, size in zip(starts, _PARTS, strict=True)).lower()
