"""Ids are UUIDv7 that never go back, whatever the clock does; nothing random survives a fork."""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime
from itertools import pairwise
from uuid import RFC_4122, UUID

import pytest

from mainstay.adapters.local import ids as ids_module
from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.local.entropy import SystemEntropy
from mainstay.adapters.local.ids import SystemIds


def test_an_id_is_a_uuid_of_version_7_and_bears_the_time_of_its_making() -> None:
    before = time.time_ns() // 1_000_000
    made = SystemIds().next()
    after = time.time_ns() // 1_000_000
    assert made == UUID(str(made))
    assert (made.version, made.variant) == (7, RFC_4122)
    assert before <= made.int >> 80 <= after
    assert hash(made) == hash(UUID(int=made.int))


def test_ids_only_grow_and_their_tails_differ() -> None:
    source = SystemIds()
    made = [source.next() for _ in range(5000)]
    assert made == sorted(set(made))
    assert len({id_.int & 0x3FFFFFFFFFFFFFFF for id_ in made}) == len(made)


@pytest.mark.parametrize("step", [0, -10_000_000_000])
def test_ids_grow_while_the_clock_stands_or_is_set_back(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    at = 1_800_000_000_000_000_000
    times = iter(at + n * step for n in range(10_000))
    monkeypatch.setattr(ids_module, "time_ns", lambda: next(times))
    source = SystemIds()
    made = [source.next() for _ in range(10_000)]
    assert all(a < b for a, b in pairwise(made))
    assert {id_.version for id_ in made} == {7}
    assert made[-1].int >> 80 == at // 1_000_000 + 2  # 10,000 steps of which a millisecond has 4096


def test_a_token_is_22_url_safe_characters_and_never_the_same() -> None:
    source = SystemIds()
    made = [source.token() for _ in range(1000)]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", token) for token in made)
    assert len(set(made)) == 1000


def test_a_forked_process_draws_what_its_parent_does_not() -> None:
    source, entropy = SystemIds(), SystemEntropy()
    source.next(), source.token(), entropy.uniform()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, f"{source.next().int & 0xFFFFFFFF} {source.token()} {entropy.uniform()}".encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        told = pipe.read().split()
    assert os.waitpid(child, 0)[1] == 0
    mine = f"{source.next().int & 0xFFFFFFFF} {source.token()} {entropy.uniform()}".split()
    assert not set(told) & set(mine)


def test_the_clock_is_that_of_the_machine_in_utc() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert abs((clock.now() - datetime.now(UTC)).total_seconds()) < 5
    assert abs(clock.time() - time.time()) < 5
    assert clock.monotonic() <= clock.monotonic()


def test_entropy_is_spread_over_zero_to_one() -> None:
    entropy = SystemEntropy()
    drawn = [entropy.uniform() for _ in range(1000)]
    assert all(0 <= number < 1 for number in drawn)
    assert min(drawn) < 0.1
    assert max(drawn) > 0.9
