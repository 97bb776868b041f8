"""Clocks, ids and chance: what every source of them must keep."""

from __future__ import annotations

import re
from datetime import UTC, timedelta
from itertools import pairwise
from uuid import RFC_4122

from mainstay.ports.clock import Clock
from mainstay.ports.ids import Entropy, Ids


class ClockConformance:
    """Every adapter of the clock port."""

    def make_clock(self) -> Clock:
        """Return a clock: a subclass says how."""
        raise TypeError(f"{type(self).__name__} does not say how a clock is made: give it make_clock")

    def test_the_wall_time_is_utc_and_the_same_in_both_forms(self) -> None:
        clock = self.make_clock()
        now, seconds = clock.now(), clock.time()
        assert now.tzinfo is UTC
        assert now.utcoffset() == timedelta(0)
        assert abs(now.timestamp() - seconds) < 1

    def test_monotonic_time_never_goes_back(self) -> None:
        clock = self.make_clock()
        assert all(a <= b for a, b in pairwise(clock.monotonic() for _ in range(1000)))


class IdsConformance:
    """Every adapter of the port of ids."""

    def make_ids(self) -> Ids:
        """Return a source of ids: a subclass says how."""
        raise TypeError(f"{type(self).__name__} does not say how ids are made: give it make_ids")

    def test_ids_are_uuids_of_version_7_that_only_grow(self) -> None:
        ids = self.make_ids()
        made = [ids.next() for _ in range(2000)]
        assert {(id_.version, id_.variant) for id_ in made} == {(7, RFC_4122)}
        assert all(a < b for a, b in pairwise(made))
        assert [str(id_) for id_ in made] == sorted(str(id_) for id_ in made)

    def test_tokens_are_22_url_safe_characters_and_never_the_same(self) -> None:
        ids = self.make_ids()
        made = [ids.token() for _ in range(2000)]
        assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", token) for token in made)
        assert len(set(made)) == len(made)


class EntropyConformance:
    """Every adapter of the port of chance."""

    def make_entropy(self) -> Entropy:
        """Return a source of chance: a subclass says how."""
        raise TypeError(f"{type(self).__name__} does not say how chance is made: give it make_entropy")

    def test_numbers_are_spread_from_0_up_to_1(self) -> None:
        entropy = self.make_entropy()
        drawn = [entropy.uniform() for _ in range(2000)]
        assert all(0 <= number < 1 for number in drawn)
        for tenth in range(10):
            assert sum(tenth / 10 <= number < (tenth + 1) / 10 for number in drawn) > 100
