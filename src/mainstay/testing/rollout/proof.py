"""The proof: the steps of a rollout, in the order in which they are taken in production, with the load going on."""

from __future__ import annotations

import asyncio
import random
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from mainstay.testing.rollout.contract import Contract
from mainstay.testing.rollout.databases import own_database
from mainstay.testing.rollout.deployment import CommandFailed, Deployment, Surroundings
from mainstay.testing.rollout.known import Known
from mainstay.testing.rollout.load import Load, Served, Step, read_across
from mainstay.testing.rollout.requests import Asking
from mainstay.testing.rollout.trees import Tree, old_tree
from mainstay.testing.rollout.wire import Wire

_PEOPLE = 5
_ACROSS = 100
"""How many rows of each version are read by the other, at most."""

Told = Callable[[dict[str, Any]], None]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be proven: ``old`` is a folder or a git revision, ``rate`` is in requests a second.

    ``seconds`` is how long each step is watched, beside what it takes; ``seed`` chooses what is asked.
    """

    project: Path
    old: str
    url: str | None = None
    rate: float = 50.0
    seconds: float = 5.0
    seed: int = 1


class Proof(msgspec.Struct, kw_only=True):
    """What was found. It holds where nothing failed, nothing differs, and calls had success."""

    old: str
    new: str
    rate: float
    seed: int
    steps: list[dict[str, Any]] = []
    across: dict[str, int] = {}
    migrated: dict[str, list[str]] = {}
    drift: list[str] = []
    stopped: str = ""
    errors: dict[str, list[str]] = {}
    never_done: list[str] = []
    left_out: dict[str, str] = {}
    succeeded: int = 0

    @property
    def failed(self) -> int:
        """How many requests failed."""
        return sum(step["failed"] for step in self.steps)

    @property
    def holds(self) -> bool:
        """Whether the rollout is proven."""
        return not (self.failed or self.drift or self.stopped) and self.succeeded > 0


def prove(wanted: Wanted, told: Told) -> Proof:
    """Roll the new version out on a database of the proof's own; ``told`` hears of each step as it ends.

    Raises ``Refusal`` where there is no old version, or no database. Everything that is started has ended when this
    returns, and what was made is gone.
    """
    with (
        _terminable(),
        tempfile.TemporaryDirectory(prefix="mainstay-rollout-") as name,
        old_tree(wanted.project, wanted.old) as old,
        own_database(wanted.url, Path(name)) as database,
    ):
        new = Tree(wanted.project, str(wanted.project))
        rollout = _Rollout(wanted, old, new, Surroundings(database, Path(name)), told)
        asyncio.run(rollout.run())
        return rollout.proof


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: what was begun is taken back."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Rollout:
    """The run of one proof."""

    def __init__(self, wanted: Wanted, old: Tree, new: Tree, surroundings: Surroundings, told: Told) -> None:
        self.proof = Proof(old=old.title, new=new.title, rate=wanted.rate, seed=wanted.seed)
        self._wanted = wanted
        self._trees = {"old": old, "new": new}
        self._surroundings = surroundings
        self._told = told
        self._chance = random.Random(wanted.seed)  # noqa: S311 - it chooses what is asked
        self._known = Known(self._chance)
        self._load = Load(self._known, wanted.rate, self._chance)
        self._deployments: list[Deployment] = []

    async def run(self) -> None:
        """Take the steps, and look at what came of them."""
        try:
            await self._steps()
        except CommandFailed as failed:
            self.proof.stopped = str(failed)
        finally:
            await self._load.stop()
            for deployment in self._deployments:
                deployment.end()
        self._conclude()

    def _conclude(self) -> None:
        proof, load = self.proof, self._load
        proof.steps = [step.told() for step in load.steps]
        proof.succeeded = load.done.total()
        for version in load.versions:
            proof.left_out |= version.contract.left_out
            proof.never_done += [one.name for one in version.contract.endpoints if not load.done[one.name]]
        proof.never_done = sorted(set(proof.never_done))
        if proof.failed or proof.stopped:
            for deployment in self._deployments:
                if errors := deployment.errors():
                    proof.errors[deployment.name] = [*proof.errors.get(deployment.name, ()), *errors]

    async def _steps(self) -> None:
        first = self._deployed("old")
        await first.command("db", "migrate")
        await first.command("db", "seed")
        old = await self._served(first)
        load = self._load
        load.serving.append(old)
        with self._step("old"):
            load.start()
            await self._watch()
        new_files = self._deployed("new")
        with self._step("expand"):
            await self._migrate(new_files, "expand")
            await self._watch()
        with self._step("restart old"):
            again = self._deployed("old")
            first, old = again, await self._exchange(old, first, again)
            await self._watch()
        with self._step("beside"):
            new = await self._served(new_files)
            load.serving.append(new)
            await self._watch()
            self.proof.across = await read_across(load, self._known, old, new, _ACROSS)
        with self._step("move"):
            await self._retire(old, first)
            await self._watch()
        with self._step("contract"):
            await self._migrate(new_files, "contract")
            await self._watch()
        await load.stop()
        found = await new_files.command("db", "check", fine=(0, 1))
        self.proof.drift = [*found["model"], *found["schema"], *(f"pending: {name}" for name in found["pending"])]
        await new_files.stop()

    async def _migrate(self, deployment: Deployment, phase: str) -> None:
        facts = await deployment.command("db", "migrate", "--phase", phase)
        self.proof.migrated[phase] = facts["migrated"]

    @contextmanager
    def _step(self, name: str) -> Iterator[Step]:
        step = self._load.begin(name)
        try:
            yield step
        finally:
            self._load.end()
            self._told(step.told())

    async def _watch(self) -> None:
        await self._load.watch(self._wanted.seconds)

    def _deployed(self, name: str) -> Deployment:
        made = Deployment(name, self._trees[name], self._surroundings)
        self._deployments.append(made)
        return made

    async def _served(self, deployment: Deployment) -> Served:
        """Start a version, and read its contract."""
        wire = Wire(await deployment.run())
        document = await wire.ask("GET", "/openapi.json", {}, seconds=30)
        contract = Contract(document.body)
        asking = Asking(contract, self._known, self._tokens(contract), self._chance)
        return self._load.meet(Served(deployment.name, wire, contract, asking))

    def _tokens(self, contract: Contract) -> dict[str, str]:
        """Return the callers: some with all that the contract names, one with nothing."""
        token, nothing = self._surroundings.token, frozenset[str]()
        able = {f"person {n}": token(f"person-{n}", contract.roles, contract.scopes) for n in range(_PEOPLE)}
        return {**able, "stranger": token("stranger", nothing, nothing)}

    async def _exchange(self, old: Served, before: Deployment, after: Deployment) -> Served:
        """Let a fresh process of the old version take the place of the one that serves."""
        served = await self._served(after)
        self._load.serving.append(served)
        await self._retire(old, before)
        return served

    async def _retire(self, served: Served, deployment: Deployment) -> None:
        """Lead traffic away from a version, then end it."""
        await self._load.leave(served)
        await deployment.stop()
