"""Random policies on random rows: what a store shows, what a condition says in memory, and what was meant agree."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mainstay.model.call_policies import between, claim, protocol
from mainstay.model.circumstances import Circumstances
from mainstay.model.conditions import holds
from mainstay.model.policy import Policy, authenticated, owner, prepare, role, where
from mainstay.model.principal import Principal
from mainstay.ports.store import Store
from mainstay.testing.conformance.model import PLANS, Colour, Everything
from mainstay.testing.conformance.world import World, opened

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
_NOW = Circumstances(at=NOON, protocol="rest")
_LATE = Circumstances(at=NOON + timedelta(hours=9), protocol="event")
CALLERS = (
    Principal(id=UUID(int=1001), claims={"text": "a", "number": 2, "colours": ["red"]}, circumstances=_NOW),
    Principal(id=UUID(int=1002), roles=frozenset({"support"}), claims={"number": 0}, circumstances=_LATE),
    Principal(id=UUID(int=1003), claims={"text": "", "colours": []}, circumstances=_LATE),
    replace(Principal.anonymous, circumstances=_NOW),
    Principal.system,
)

Meaning = Callable[[Any, Principal], bool | None]
"""What a leaf says of a row and a caller; None where it cannot say, because the caller lacks what it asks for."""


class Leaf(NamedTuple):
    """A leaf of random policies, and what it means."""

    policy: Policy
    means: Meaning


def _claimed(name: str, says: Callable[[Any, Any], bool]) -> Meaning:
    return lambda row, who: says(row, who.claims[name]) if name in who.claims else None


LEAVES: tuple[Leaf, ...] = (
    Leaf(authenticated, lambda _row, who: who.authenticated),
    Leaf(role("support"), lambda _row, who: "support" in who.roles),
    Leaf(claim("number", 2, 3), lambda _row, who: who.claims.get("number") in (2, 3)),
    Leaf(protocol("rest"), lambda _row, who: who.circumstances is not None and who.circumstances.protocol == "rest"),
    Leaf(between("08:00", "18:00"), lambda _row, who: who.circumstances is not None and who.circumstances.at.hour < 18),
    Leaf(owner("key"), lambda row, who: row.key == who.id if who.authenticated else None),
    Leaf(where(lambda row, who: row.text == who.claims["text"]), _claimed("text", lambda row, own: row.text == own)),
    Leaf(where(lambda row, who: row.text != who.claims["text"]), _claimed("text", lambda row, own: row.text != own)),
    Leaf(
        where(lambda row, who: row.number < who.claims["number"]), _claimed("number", lambda row, own: row.number < own)
    ),
    Leaf(
        where(lambda row, who: row.at <= who.circumstances.at),
        lambda row, who: row.at is not None and row.at <= who.circumstances.at if who.circumstances else None,
    ),
    Leaf(where(lambda row, _who: row.text.starts_with("a")), lambda row, _who: row.text.startswith("a")),
    Leaf(where(lambda row, _who: row.flag), lambda row, _who: row.flag),
    Leaf(where(lambda row, _who: row.day == None), lambda row, _who: row.day is None),  # noqa: E711 - a symbol
    Leaf(where(lambda row, _who: row.colour.in_(Colour.RED)), lambda row, _who: row.colour is Colour.RED),
    Leaf(
        where(lambda row, _who: ~((row.number > 1) & (row.text == "a"))),
        lambda row, _who: not (row.number > 1 and row.text == "a"),
    ),
)

ROWS = st.lists(
    st.builds(
        Everything,
        text=st.sampled_from(["", "a", "ab", "A"]),
        number=st.integers(-1, 3),
        flag=st.booleans(),
        at=st.sampled_from([None, NOON, NOON + timedelta(hours=5)]),
        day=st.sampled_from([None, NOON.date()]),
        key=st.sampled_from([None, CALLERS[0].id, CALLERS[1].id]),
        colour=st.sampled_from([None, Colour.RED, Colour.BLUE]),
    ),
    min_size=1,
    max_size=8,
)


class Tree(NamedTuple):
    """A policy with its meaning: whether a caller may, and whether it may not; neither where that cannot be said."""

    policy: Policy
    may: Callable[[Any, Principal], bool]
    may_not: Callable[[Any, Principal], bool]


def _tree(leaf: Leaf) -> Tree:
    return Tree(
        leaf.policy,
        lambda row, who: who.is_system or leaf.means(row, who) is True,
        lambda row, who: not who.is_system and leaf.means(row, who) is False,
    )


def _both(a: Tree, b: Tree) -> Tree:
    return Tree(
        a.policy & b.policy,
        lambda row, who: a.may(row, who) and b.may(row, who),
        lambda row, who: a.may_not(row, who) or b.may_not(row, who),
    )


def _inverse(a: Tree) -> Tree:
    return Tree(~a.policy, a.may_not, a.may)


def _either(a: Tree, b: Tree) -> Tree:
    left, right = _inverse(a), _inverse(b)
    both = _both(left, right)
    return Tree(a.policy | b.policy, both.may_not, both.may)


TREES = st.recursive(
    st.sampled_from(LEAVES).map(_tree),
    lambda below: st.builds(_both, below, below) | st.builds(_either, below, below) | st.builds(_inverse, below),
    max_leaves=6,
)


class RandomPoliciesConformance:
    """Policies that nobody thought of."""

    def make_store(self, folder: Path) -> Store:
        """Return a new store, not yet started, that may keep its files in ``folder``: a subclass says how."""
        raise TypeError(f"{type(self).__name__} does not say how a store is made (in {folder}): give it make_store")

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rows=ROWS, trees=st.lists(TREES, min_size=1, max_size=12))
    def test_store_memory_and_meaning_agree(self, rows: list[Any], trees: list[Tree]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(self._compare(Path(folder), rows, trees))

    async def _compare(self, folder: Path, rows: list[Any], trees: list[Tree]) -> None:
        async with opened(self.make_store(folder), (Everything,)) as world:
            stored = await world.add(*rows, who=Principal.system)
            for tree in trees:
                policy = prepare(tree.policy, PLANS[Everything].shape.types)
                for who in CALLERS:
                    condition = policy.reduce(who)
                    meant = {row.id for row in stored if tree.may(row, who)}
                    assert {row.id for row in stored if holds(condition, row)} == meant, (tree.policy, who)
                    assert await _seen(world, policy, who) == meant, (tree.policy, who)


async def _seen(world: World, policy: Policy, who: Principal) -> set[UUID]:
    """Return the ids of the rows that a store shows a caller under a policy."""
    plans = dict(world.plans)
    plans[Everything] = replace(world.plans[Everything], policy=policy)
    seeing = World(world.store, plans)
    async with seeing.query(who) as hands:
        repository = hands.rows(Everything)
        found = {row.id async for row in repository.stream()}
        assert await repository.count() == len(found)
    return found
