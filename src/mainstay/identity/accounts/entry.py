"""Entry: the end of a log-in, in the transaction that opens the session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn
from uuid import UUID

from mainstay.identity.accounts.brakes import Brakes
from mainstay.identity.accounts.challenges import Challenges
from mainstay.identity.accounts.entities import Account, KnownPlace, RoleGrant, SecondFactor
from mainstay.identity.accounts.factors import SecondFactors
from mainstay.identity.accounts.inputs import Carrier, LoggedIn, Needed
from mainstay.identity.accounts.looking import found
from mainstay.identity.accounts.problems import SecondStepRefused
from mainstay.identity.accounts.proof import BEARER, PasswordProof, Proven, too_many
from mainstay.identity.accounts.rules import AccountRules
from mainstay.identity.book import Means, Opened, SessionBook
from mainstay.ports.clock import Clock
from mainstay.ports.repository import Repository
from mainstay.ports.security_log import SecurityEvent, SecurityLog


class Entry:
    """Let accounts in that have proven what this service asks for."""

    def __init__(
        self,
        accounts: Repository[Account],
        grants: Repository[RoleGrant],
        places: Repository[KnownPlace],
        factors: SecondFactors,
        challenges: Challenges,
        proof: PasswordProof,
        book: SessionBook,
        brakes: Brakes,
        log: SecurityLog,
        clock: Clock,
        rules: AccountRules,
    ) -> None:
        self._accounts = accounts
        self._grants = grants
        self._places = places
        self._factors = factors
        self._challenges = challenges
        self._proof = proof
        self._book = book
        self._brakes = brakes
        self._log = log
        self._clock = clock
        self._rules = rules

    async def behind_password(self, proven: Proven, code: str | None, means: Carrier) -> LoggedIn:
        """Go on behind a password that was right: to a session, or to the challenge of the next step."""
        account = await self._accounts.get(proven.account.id)
        if account.password != proven.account.password or account.locked_at is not None:
            await self._proof.refuse(account.id, "changed", strict=proven.strict)  # while the password was looked at
        if proven.rehashed is not None:
            account = await self._accounts.update(account, password=proven.rehashed)
        factor = await self._factors.of(account.id)
        if factor is not None and code is not None:
            return await self._with_code(account, factor, code, means, ["pwd"], strict=proven.strict)
        if proven.strict:
            raise too_many()
        self._log.note(SecurityEvent(kind="log_in.password", subject=account.id, actor=account.id))
        return await self._behind_first(account, factor, ["pwd"], means)

    async def behind_provider(self, account: Account, means: Carrier) -> LoggedIn:
        """Go on behind the word of an outside provider, as behind a password."""
        return await self._behind_first(account, await self._factors.of(account.id), [], means)

    async def _behind_first(
        self, account: Account, factor: SecondFactor | None, proofs: list[str], means: Carrier
    ) -> LoggedIn:
        if factor is not None:
            return self._challenge(account, Needed.SECOND_FACTOR, proofs)
        if self._rules.second_factor == "required":
            return self._challenge(account, Needed.SET_UP, proofs)
        return LoggedIn(session=await self.open(account, proofs, means))

    async def behind_code(self, account_id: UUID, challenge: str, code: str, means: Carrier) -> LoggedIn:
        """Go on behind the second step of a log-in. Raises ``SecondStepRefused`` and ``ChallengeRefused``."""
        account = self._challenges.check(challenge, Needed.SECOND_FACTOR, await found(self._accounts.get(account_id)))
        proofs = self._challenges.proofs(challenge, Needed.SECOND_FACTOR)
        factor = await self._factors.present(account.id)
        return await self._with_code(account, factor, code, means, proofs, strict=False)

    async def behind_set_up(self, account: Account, challenge: str, means: Carrier) -> Opened:
        """Go on behind a second factor that was set up to end a log-in. Raises ``ChallengeRefused``."""
        proofs = self._challenges.proofs(challenge, Needed.SET_UP)
        return await self.open(account, [*proofs, "otp", "mfa"], means)

    async def _with_code(
        self, account: Account, factor: SecondFactor, code: str, means: Carrier, proofs: Sequence[str], *, strict: bool
    ) -> LoggedIn:
        used = await self._factors.accept(factor, code)
        if used is None:
            await self._brakes.failed()
            self._refuse(account, strict=strict)
        self._log.note(
            SecurityEvent(kind="log_in.second_step", subject=account.id, actor=account.id, facts={"by": used})
        )
        return LoggedIn(session=await self.open(account, [*proofs, "otp", "mfa"], means))

    def _refuse(self, account: Account, *, strict: bool) -> NoReturn:
        self._log.note(SecurityEvent(kind="log_in.second_step", outcome="failure", subject=account.id))
        if strict:
            raise too_many()
        raise SecondStepRefused(headers=BEARER)

    def _challenge(self, account: Account, needs: Needed, proofs: Sequence[str]) -> LoggedIn:
        challenge = self._challenges.make(account, needs, proofs)
        return LoggedIn(needs=needs, challenge=challenge, expires_in=self._challenges.seconds)

    async def open(self, account: Account, proofs: list[str], means: Carrier) -> Opened:
        """Open a session, and know the caller's address from now on."""
        await self.know(account)
        roles = await self.roles(account.id)
        carried: Means = "cookie" if means is Carrier.COOKIE else "tokens"
        return await self._book.open(account, roles=roles, proofs=proofs, means=carried)

    async def know(self, account: Account) -> None:
        """Remember that the account was shown to be the caller's, at its address."""
        place = KnownPlace(account_id=account.id, digest=self._brakes.place(account.email), last_at=self._clock.now())
        await self._places.upsert(place, on="digest", change=["last_at"])

    async def roles(self, account: UUID) -> list[str]:
        """Return the roles of an account, in order."""
        return sorted([grant.role async for grant in self._grants.stream(account_id=account)])
