"""Challenges: what a log-in has shown so far, carried by the client until its next step, sealed and short-lived."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from mainstay.identity.accounts.entities import Account
from mainstay.identity.accounts.inputs import Needed
from mainstay.identity.accounts.looking import digest_of
from mainstay.identity.accounts.problems import ChallengeRefused
from mainstay.identity.accounts.rules import AccountRules
from mainstay.ports.clock import Clock
from mainstay.ports.sealer import Sealer

_CONTEXT = b"identity.challenge"
_MARK = 16


class _Shown(msgspec.Struct, frozen=True, array_like=True):
    account: UUID
    password: str  # a mark of its hash: another password ends the challenge
    until: float
    step: Needed
    proofs: list[str]  # RFC 8176


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Shown).decode


class Challenges:
    """Make challenges and open them."""

    def __init__(self, sealer: Sealer, clock: Clock, rules: AccountRules) -> None:
        self._sealer = sealer
        self._clock = clock
        self.seconds: int = rules.challenge_seconds

    def make(self, account: Account, step: Needed, proofs: Sequence[str]) -> str:
        """Return the challenge of an account for which ``proofs`` were given, or the word of an outside provider."""
        shown = _Shown(account.id, _mark(account), self._clock.time() + self.seconds, step, list(proofs))
        return self._sealer.seal(_encode(shown), _CONTEXT)

    def account(self, challenge: str, step: Needed) -> UUID:
        """Return whose challenge it is. Raises ``ChallengeRefused``; ``check`` it once the account is there."""
        return self._open(challenge, step).account

    def proofs(self, challenge: str, step: Needed) -> list[str]:
        """Return what was given before the challenge was made. Raises ``ChallengeRefused``."""
        return self._open(challenge, step).proofs

    def check(self, challenge: str, step: Needed, account: Account | None) -> Account:
        """Return the account of a challenge, as it is now, where it is still what it was made for.

        Raises ``ChallengeRefused`` where the account is gone, was locked, or has another password now.
        """
        shown = self._open(challenge, step)
        if account is None or account.locked_at is not None:
            raise ChallengeRefused("the challenge holds no more", headers=_CHALLENGE)
        if shown.account != account.id or shown.password != _mark(account):
            raise ChallengeRefused("the challenge holds no more", headers=_CHALLENGE)
        return account

    def _open(self, challenge: str, step: Needed) -> _Shown:
        opened = self._sealer.open(challenge, _CONTEXT)
        if opened is None:
            raise ChallengeRefused("the challenge is not of this service", headers=_CHALLENGE)
        shown = _decode(opened)
        if shown.until <= self._clock.time() or shown.step != step:
            raise ChallengeRefused("the challenge holds no more", headers=_CHALLENGE)
        return shown


_CHALLENGE = {"www-authenticate": "Bearer"}


def _mark(account: Account) -> str:
    return digest_of(account.password or "")[:_MARK]
