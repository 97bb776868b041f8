"""The keys of an issuer: fetched once for all, refreshed ahead, rotated without a refusal, kept while it is away."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial

import pytest
from kernel_world import Ear
from outgoing_http import LoopbackHttp
from outside_provider import AUDIENCE, DISCOVERY, KEYS, OutsideProvider, json_answer

from mainstay.adapters.jose.published import load_published
from mainstay.adapters.jose.verifier import JwtVerifier
from mainstay.adapters.oidc.keys import IssuerKeys
from mainstay.adapters.oidc.problems import IssuerAway
from mainstay.model.principal import Principal
from mainstay.ports.clock import Clock
from mainstay.ports.refused_tokens import TokenBadSignature, TokenExpired, TokenUnknownKey
from mainstay.ports.tokens import TokenVerifier
from mainstay.testing.fixed import FixedClock

STALE = 600.0


class Subject:
    """Keys on a clock that the test moves."""

    def __init__(self, provider: OutsideProvider, http: LoopbackHttp, clock: Clock | None = None) -> None:
        self.provider = provider
        self.clock = FixedClock(datetime.now(UTC))
        self.ear = Ear()
        self.keys = IssuerKeys(
            http,
            provider.issuer,
            partial(_verifier, provider.issuer, self.clock),
            unknown=TokenUnknownKey,
            clock=clock or self.clock,
            observer=self.ear,
            loopback=True,
            stale=STALE,
        )

    async def verify(self, token: bytes) -> Principal:
        found = self.keys.verify(token)
        return found if isinstance(found, Principal) else await found

    def down(self) -> None:
        self.provider.answers[KEYS] = self.provider.answers[DISCOVERY] = lambda: json_answer({}, 502)

    def up(self) -> None:
        self.provider.answers.clear()


def _verifier(issuer: str, clock: Clock, document: bytes) -> TokenVerifier:
    return JwtVerifier(load_published(document), issuer=issuer, audience=AUDIENCE, clock=clock)


@pytest.fixture
def subject(provider: OutsideProvider, outgoing: LoopbackHttp) -> Subject:
    return Subject(provider, outgoing)


async def test_a_token_is_verified_at_once_when_the_keys_are_there(subject: Subject) -> None:
    await subject.keys.refresh()
    found = subject.keys.verify(subject.provider.token(sub="ann"))
    assert isinstance(found, Principal)
    assert found.subject == "ann"
    assert subject.provider.asked == {DISCOVERY: 1, KEYS: 1}


@pytest.mark.parametrize("algorithm", ["RS256", "EdDSA"])
async def test_keys_of_every_algorithm_are_taken(subject: Subject, algorithm: str) -> None:
    subject.provider.rotate(algorithm=algorithm)
    await subject.keys.refresh()
    assert (await subject.verify(subject.provider.token())).subject == "ann"


async def test_who_asks_for_the_keys_together_has_them_fetched_once(subject: Subject) -> None:
    await asyncio.gather(*(subject.keys.refresh() for _ in range(50)))
    assert subject.provider.asked[KEYS] == 1


async def test_calls_wait_for_the_first_keys_and_for_no_others(subject: Subject) -> None:
    with pytest.raises(IssuerAway):
        await subject.verify(subject.provider.token())
    subject.provider.gate.clear()
    first = asyncio.create_task(subject.keys.refresh())
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(subject.verify(subject.provider.token(sub=f"u{n}"))) for n in range(5)]
    await asyncio.sleep(0.01)
    subject.provider.gate.set()
    assert [(await one).subject for one in waiting] == [f"u{n}" for n in range(5)]
    await first
    assert subject.provider.asked[KEYS] == 1


async def test_a_rotation_fails_no_call(subject: Subject) -> None:
    await subject.keys.refresh()
    old = subject.provider.token(sub="old")
    assert (await subject.verify(old)).subject == "old"
    for number in range(10):
        subject.clock.advance(61)
        subject.provider.rotate()
        many = [subject.verify(subject.provider.token(sub=f"{number}/{n}")) for n in range(20)]
        assert {one.subject for one in await asyncio.gather(*many)} == {f"{number}/{n}" for n in range(20)}
    assert subject.provider.asked[KEYS] == 11


async def test_a_key_that_was_taken_away_ends_tokens_that_were_good(subject: Subject) -> None:
    await subject.keys.refresh()
    token = subject.provider.token()
    assert (await subject.verify(token)).subject == "ann"
    subject.provider.rotate(keep=0)
    await subject.keys.refresh()
    with pytest.raises(TokenUnknownKey):
        await subject.verify(token)


async def test_a_storm_of_unknown_keys_causes_one_fetch_a_minute(subject: Subject) -> None:
    await subject.keys.refresh()
    forged = [subject.provider.token(header={"kid": f"made-up-{n}"}) for n in range(40)]
    for minute in range(1, 4):
        subject.clock.advance(61)
        for _ in range(5):
            answers = await asyncio.gather(*map(subject.verify, forged), return_exceptions=True)
            assert {type(one) for one in answers} == {TokenUnknownKey}
            subject.clock.advance(10)
        assert subject.provider.asked[KEYS] == 1 + minute


async def test_a_storm_while_the_issuer_is_away_tries_once_a_minute(subject: Subject) -> None:
    await subject.keys.refresh()
    subject.down()
    subject.clock.advance(61)
    for _ in range(5):
        with pytest.raises(TokenUnknownKey):
            await subject.verify(subject.provider.token(header={"kid": "made-up"}))
    assert subject.provider.asked[KEYS] == 2
    assert (await subject.verify(subject.provider.token())).subject == "ann"


async def test_a_bad_signature_has_nothing_fetched(subject: Subject) -> None:
    await subject.keys.refresh()
    subject.clock.advance(61)
    with pytest.raises(TokenBadSignature):
        await subject.verify(subject.provider.token()[:-4] + b"AAAA")
    assert subject.provider.asked[KEYS] == 1


async def test_the_last_good_keys_count_for_their_time_and_no_longer(subject: Subject) -> None:
    subject.provider.max_age = 120
    await subject.keys.refresh()
    subject.down()
    subject.clock.advance(120 + STALE - 1)
    await subject.keys.refresh()
    token = subject.provider.token(exp=subject.clock.time() + 3600)
    assert (await subject.verify(token)).subject == "ann"
    assert subject.ear.notices[-1].level == "warning"
    subject.clock.advance(1)
    await subject.keys.refresh()
    assert (subject.ear.notices[-1].level, subject.ear.notices[-1].event) == ("error", "issuer_away")
    with pytest.raises(IssuerAway) as away:
        await subject.verify(token)
    assert away.value.retry_after is not None
    subject.up()
    await subject.keys.refresh()
    assert (await subject.verify(token)).subject == "ann"


async def test_a_set_that_cannot_be_used_leaves_that_of_before(subject: Subject) -> None:
    await subject.keys.refresh()
    for keys in ([], "none", [{"kty": "oct", "k": "AAAA"}], [{"kty": "EC"}], [[]]):
        subject.provider.answers[KEYS] = partial(json_answer, {"keys": keys})
        await subject.keys.refresh()
        assert (await subject.verify(subject.provider.token())).subject == "ann"
    assert len(subject.ear.notices) == 5


async def test_an_issuer_that_moves_its_keys_is_asked_again_where_they_are(subject: Subject) -> None:
    await subject.keys.refresh()
    subject.provider.answers[KEYS] = lambda: json_answer({}, 404)
    subject.provider.answers[DISCOVERY] = lambda: json_answer(
        subject.provider.metadata(jwks_uri=subject.provider.issuer + "/moved")
    )
    subject.provider.answers["/moved"] = lambda: json_answer({"keys": subject.provider.published})
    await subject.keys.refresh()
    await subject.keys.refresh()
    assert subject.provider.asked["/moved"] == 1


async def test_what_a_verifier_knows_is_kept_while_the_keys_are_the_same(subject: Subject) -> None:
    await subject.keys.refresh()
    token = subject.provider.token(exp=subject.clock.time() + 30)
    first = await subject.verify(token)
    await subject.keys.refresh()
    assert await subject.verify(token) is first
    subject.clock.advance(61)
    with pytest.raises(TokenExpired):
        await subject.verify(token)


async def test_who_leaves_does_not_end_the_fetch_of_others(subject: Subject) -> None:
    subject.provider.gate.clear()
    first = asyncio.create_task(subject.keys.refresh())
    other = asyncio.create_task(subject.keys.refresh())
    await asyncio.sleep(0.01)
    first.cancel()
    subject.provider.gate.set()
    await other
    assert (await subject.verify(subject.provider.token())).subject == "ann"


class Paced(FixedClock):
    """A clock whose sleepers wait until the test lets them go."""

    def __init__(self) -> None:
        super().__init__(datetime.now(UTC))
        self.pauses: list[float] = []
        self.go = asyncio.Semaphore(0)
        self.asleep = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.asleep.set()
        await self.go.acquire()
        self.advance(seconds)

    async def round(self) -> float:
        """Wait until somebody sleeps, let them go, and return for how long they meant to."""
        await self.asleep.wait()
        self.asleep.clear()
        self.go.release()
        return self.pauses[-1]


async def test_keys_are_refreshed_before_they_are_stale_and_sooner_while_the_issuer_is_away(
    provider: OutsideProvider, outgoing: LoopbackHttp
) -> None:
    clock = Paced()
    subject = Subject(provider, outgoing, clock)
    provider.max_age = 1000
    task = asyncio.create_task(subject.keys.run())
    assert await clock.round() == 800
    subject.down()
    pauses = [await clock.round() for _ in range(8)]
    assert pauses == [800, 1, 2, 4, 8, 16, 32, 60] or pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    await clock.asleep.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


async def test_the_end_does_not_wait_for_an_issuer(subject: Subject) -> None:
    subject.provider.gate.clear()
    task = asyncio.create_task(subject.keys.run())
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait_for(asyncio.wait({task}), 1)


async def test_what_goes_wrong_is_told_without_what_was_sent(subject: Subject) -> None:
    subject.provider.answers[DISCOVERY] = lambda: json_answer(subject.provider.metadata(issuer="https://evil.example"))
    await subject.keys.refresh()
    (notice,) = subject.ear.notices
    assert "evil" not in notice.message
    assert notice.facts == {"issuer": subject.provider.issuer, "attempts": 1}
    with pytest.raises(IssuerAway):
        subject.keys.verify(subject.provider.token())
