"""Find what no promised isolation explains in a history of transactions that ran at the same time.

Transactions append to lists and add to sets; every value is used once, so that what was read names who wrote it. From
that follow the dependencies of Adya ("Weak Consistency", MIT, 1999): *ww* from who wrote a version to who overwrote it,
*wr* from who wrote what was read to who read it, *rw* from who read a version to who overwrote it, or added what a
look at a set had not found. An anomaly is a cycle of them, told by its kinds of edges, or one read that cannot be.
After Kingsbury and Alvaro, "Elle: inferring isolation anomalies from experimental observations", VLDB 2020.

A list is a version: it is read whole and written whole, with one more value at its end. So a version tells the one
that it was made from, and two that were made from the same one are a lost update.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Level = Literal["serializable", "snapshot", "read_committed"]
Verb = Literal["read", "write", "scan", "add"]
Version = tuple[int, ...]
Kind = Literal["ww", "wr", "rw", "rw of a set"]


class Op(NamedTuple):
    """What a transaction did: ``read`` and ``write`` are of a list, ``scan`` and ``add`` of a set.

    The value is the whole list, or the members that were found or added.
    """

    verb: Verb
    key: str
    value: Version


@dataclass(eq=False)
class Transaction:
    """What one saw and did. ``end`` is when its caller was told that it is committed or ``undone``."""

    name: str
    level: Level
    session: int = 0
    start: float = 0.0
    end: float = 0.0
    undone: bool = False
    ops: list[Op] = field(default_factory=list)


class Anomaly(NamedTuple):
    """What is wrong, by its name in the literature, and where it is to be seen."""

    name: str
    where: str


class _Edge(NamedTuple):
    source: Transaction
    kind: Kind
    target: Transaction
    key: str

    @property
    def against(self) -> bool:
        """Whether it is an anti-dependency: the target need not have been before the source's end."""
        return self.kind[:2] == "rw"


def anomalies(history: Sequence[Transaction], *, replicated: bool = False) -> list[Anomaly]:
    """Return what goes beyond the level of each transaction.

    - All: no dirty, intermediate or foreign read, own writes are seen, no cycle of ww and wr (G0, G1).
    - ``snapshot`` and better: what was read stays as it was, no lost update, and no cycle but such as have two
      anti-dependencies in a row (Fekete et al., "Making snapshot isolation serializable", TODS 2005).
    - ``serializable``, among themselves: no cycle at all. What one of them read and another overwrote only behind one
      of a lower level does not count: it was that one that overwrote it, and nobody looks out for it.
    - Whatever was told to anyone before a transaction began is seen by it.

    Where queries are ``replicated``, each sees one snapshot and what its own session has written; two of them, on two
    servers, may see two commits in different orders.
    """
    versions = _Versions(history)
    found = [*_reads(history, versions), *_staleness(history, versions, own=replicated)]
    done = [one for one in history if not one.undone]
    flow = versions.edges(done)
    found += _cycles([edge for edge in flow if edge.kind == "ww"], against="none")
    found += _cycles(flow, against="none")
    isolated = [one for one in done if one.level != "read_committed"]
    found += versions.lost_updates(isolated)
    found += _cycles(versions.edges(isolated), against="once" if replicated else "apart")
    serializable = [one for one in done if one.level == "serializable"]
    found += _cycles(versions.edges(serializable, direct=True), against="any")
    return list(dict.fromkeys(found))


def dependencies(history: Sequence[Transaction]) -> int:
    """Return how many dependencies there are between the transactions that were committed."""
    return len(_Versions(history).edges([one for one in history if not one.undone]))


class _Versions:
    """Who wrote which version of which list, and which member of which set."""

    def __init__(self, history: Iterable[Transaction]) -> None:
        self.writer: dict[tuple[str, Version], Transaction] = {}
        self.last: dict[tuple[Transaction, str], Version] = {}
        self.adder: dict[tuple[str, int], Transaction] = {}
        self._next: dict[tuple[str, Version], list[Version]] = defaultdict(list)
        self._members: dict[str, dict[int, Transaction]] = defaultdict(dict)
        for one in history:
            for verb, key, value in one.ops:
                if verb == "write":
                    self.writer[key, value] = one
                    self.last[one, key] = value
                    self._next[key, value[:-1]].append(value)
                elif verb == "add":
                    for member in value:
                        self.adder[key, member] = one
                        self._members[key][member] = one

    def edges(self, among: Collection[Transaction], *, direct: bool = False) -> list[_Edge]:
        """Return the dependencies between these; where another stands between two of them, it is passed over.

        ``direct``: not so in anti-dependencies.
        """
        chosen = set(among)
        found: dict[_Edge, None] = {}
        for one in among:
            for verb, key, value in one.ops:
                for edge in self._of(one, verb, key, value, chosen):
                    passed = direct and verb == "read" and edge.against and not self._follows(edge, value)
                    if edge.source is not edge.target and not passed:
                        found[edge] = None
        return list(found)

    def _follows(self, edge: _Edge, version: Version) -> bool:
        """Whether the target of an edge wrote the very next version."""
        return any(self.writer[edge.key, each] is edge.target for each in self._next[edge.key, version])

    def _of(self, one: Transaction, verb: Verb, key: str, value: Version, among: set[Transaction]) -> Iterator[_Edge]:
        if verb == "write":
            before = self._before(key, value[:-1], among)
            if before is not None:
                yield _Edge(before, "ww", one, key)
        elif verb == "read":
            before = self._before(key, value, among)
            if before is not None:
                yield _Edge(before, "wr", one, key)
            for after in self._after(key, value, among):
                yield _Edge(one, "rw", after, key)
        elif verb == "scan":
            for member, adder in self._members[key].items():
                if adder in among:
                    seen = member in value
                    yield _Edge(adder, "wr", one, key) if seen else _Edge(one, "rw of a set", adder, key)

    def _before(self, key: str, version: Version, among: set[Transaction]) -> Transaction | None:
        """Return who of these wrote a version, or the last before it."""
        while version:
            writer = self.writer.get((key, version))
            if writer in among:
                return writer
            version = version[:-1]
        return None

    def _after(self, key: str, version: Version, among: set[Transaction]) -> Iterator[Transaction]:
        """Give who of these wrote the version behind one, or the first behind that."""
        for following in self._next[key, version]:
            writer = self.writer[key, following]
            if writer in among:
                yield writer
            else:
                yield from self._after(key, following, among)

    def lost_updates(self, among: Collection[Transaction]) -> Iterator[Anomaly]:
        """Give versions from which two of these have made the next one."""
        chosen = set(among)
        for (key, version), following in self._next.items():
            writers = {one.name: None for each in following if (one := self.writer[key, each]) in chosen}
            if len(writers) > 1:
                yield Anomaly("lost update", f"{key} {list(version)}: overwritten by {' and by '.join(writers)}")

    def forked(self, key: str) -> bool:
        """Whether some update of a list was lost, to whatever isolation: then its versions have no one order."""
        done = [(version, self.writer[key, version]) for of, version in self.writer if of == key]
        lasting = {version for version, writer in done if not writer.undone}
        return any(sum(each in lasting for each in self._next[key, version[:-1]]) > 1 for version in lasting)


def _reads(history: Iterable[Transaction], versions: _Versions) -> Iterator[Anomaly]:
    """Give what single reads have seen that they must not see."""
    for one in history:
        if not one.undone:
            yield from _inside(one)
        for verb, key, value in one.ops:
            where = f"{one.name} found {list(value)} in {key}"
            for writer, lasting in _sources(one, verb, key, value, versions):
                if writer is None:
                    yield Anomaly("read of what nobody wrote", where)
                elif writer.undone and writer is not one:
                    yield Anomaly("G1a dirty read", f"{where}, from {writer.name}, which was undone")
                elif not lasting and writer is not one:
                    yield Anomaly("G1b intermediate read", f"{where}, which {writer.name} wrote over itself")


def _sources(
    one: Transaction, verb: Verb, key: str, value: Version, versions: _Versions
) -> Iterator[tuple[Transaction | None, bool]]:
    """Give who wrote what was read, and whether that was the last that it wrote there."""
    if verb == "read" and value:
        writer = versions.writer.get((key, value))
        yield writer, writer is not None and versions.last[writer, key] == value
    elif verb == "scan":
        for member in value:
            yield versions.adder.get((key, member)), True


def _inside(one: Transaction) -> Iterator[Anomaly]:
    """Give reads that do not fit what the same transaction has read and written before."""
    own: dict[str, Version] = {}
    added: dict[str, set[int]] = defaultdict(set)
    seen: dict[str, set[int]] = {}
    written: set[str] = set()
    stays = one.level != "read_committed"
    for verb, key, value in one.ops:
        if verb == "write":
            own[key] = value
            written.add(key)
        elif verb == "add":
            added[key].update(value)
        elif verb == "read":
            if key in own and (stays or key in written) and own[key] != value:
                yield Anomaly("internal", f"{one.name} found {list(value)} in {key} after {list(own[key])}")
            own[key] = value
        else:
            fits = added[key] <= set(value)
            if stays and key in seen:
                fits = fits and set(value) - added[key] == seen[key]
            if not fits:
                yield Anomaly("internal", f"{one.name} found {list(value)} in {key}, which it had read otherwise")
            seen[key] = set(value) - added[key]


def _staleness(history: Sequence[Transaction], versions: _Versions, *, own: bool) -> Iterator[Anomaly]:
    """Give reads that miss what somebody had been told of before the reader began; ``own``: what it has written."""
    done = [one for one in history if not one.undone]
    forked = {key for key, _ in versions.writer if versions.forked(key)}
    for one in done:
        before = (other for other in done if other.end < one.start)
        known = _written(other for other in before if other.session == one.session) if own else _known(before)
        touched: set[str] = set()
        for verb, key, value in one.ops:
            if verb in ("write", "add"):
                touched.add(key)
            elif key not in touched and key not in forked:
                for member, teller in known[key].items():
                    if member not in value:
                        how = "read your writes" if teller.session == one.session else "stale read"
                        yield Anomaly(how, f"{one.name} found {list(value)} in {key}: {teller.name} knew of {member}")
                        break


def _known(before: Iterable[Transaction]) -> dict[str, dict[int, Transaction]]:
    """Return what was known of each list and set to those who ended before, and by whom."""
    known: dict[str, dict[int, Transaction]] = defaultdict(dict)
    for one in before:
        for _, key, value in one.ops:
            known[key] |= dict.fromkeys(value, one)
    return known


def _written(before: Iterable[Transaction]) -> dict[str, dict[int, Transaction]]:
    """Return what was added to each list and set by those who ended before, and by whom."""
    known: dict[str, dict[int, Transaction]] = defaultdict(dict)
    for one in before:
        for verb, key, value in one.ops:
            if verb in ("write", "add"):
                known[key] |= dict.fromkeys(value[-1:] if verb == "write" else value, one)
    return known


def _cycles(edges: Sequence[_Edge], against: Literal["none", "once", "apart", "any"]) -> Iterator[Anomaly]:
    """Give the shortest cycle through each edge that must not be in one; ``against`` says what of anti-dependencies.

    ``none``: they do not count; ``once``: cycles with several are allowed; ``apart``: those with two in a row;
    ``any``: none is.
    """
    ways: dict[Transaction, list[_Edge]] = defaultdict(list)
    for edge in edges:
        if against != "none" or not edge.against:
            ways[edge.source].append(edge)
    together = _components(ways)
    back = ways if against != "once" else {one: [way for way in out if not way.against] for one, out in ways.items()}
    told: set[frozenset[Transaction]] = set()
    for edge in (each for among in ways.values() for each in among):
        if together[edge.source] != together[edge.target]:
            continue
        cycle = _way_back(back, edge, lambda a, b: against != "apart" or not (a.against and b.against))
        through = frozenset(each.source for each in cycle)
        if cycle and through not in told:
            told.add(through)
            yield Anomaly(_named(cycle), _shown(cycle))


def _way_back(ways: dict[Transaction, list[_Edge]], first: _Edge, fits: Callable[[_Edge, _Edge], bool]) -> list[_Edge]:
    """Return the shortest cycle that begins with an edge and in which each edge fits the one behind it, or nothing."""
    came: dict[tuple[Transaction, bool], tuple[_Edge, ...]] = {(first.target, first.against): (first,)}
    ahead: list[tuple[_Edge, ...]] = [(first,)]
    while ahead:
        following: list[tuple[_Edge, ...]] = []
        for way in ahead:
            for edge in ways.get(way[-1].target, ()):
                if not fits(way[-1], edge):
                    continue
                if edge.target is first.source:
                    if fits(edge, first):
                        return [*way, edge]
                elif (edge.target, edge.against) not in came:
                    came[edge.target, edge.against] = longer = (*way, edge)
                    following.append(longer)
        ahead = following
    return []


def _components(ways: dict[Transaction, list[_Edge]]) -> dict[Transaction, int]:
    """Return for each transaction the number of its strongly connected component: only within one there are cycles.

    By Kosaraju's two passes, without recursion.
    """
    back: dict[Transaction, list[Transaction]] = defaultdict(list)
    for source, edges in ways.items():
        for edge in edges:
            back[edge.target].append(source)
    numbers: dict[Transaction, int] = {}
    order = _finished(list(ways), lambda one: [edge.target for edge in ways.get(one, ())])
    for number, root in enumerate(reversed(order)):
        ahead = [] if root in numbers else [root]
        while ahead:
            one = ahead.pop()
            if one not in numbers:
                numbers[one] = number
                ahead += back[one]
    return numbers


def _finished(roots: Iterable[Transaction], targets: Callable[[Transaction], list[Transaction]]) -> list[Transaction]:
    """Return all that can be reached, in the order in which a depth-first search leaves it."""
    order: list[Transaction] = []
    seen: set[Transaction] = set()
    for root in roots:
        ahead = [(root, False)]
        while ahead:
            one, left = ahead.pop()
            if left:
                order.append(one)
            elif one not in seen:
                seen.add(one)
                ahead.append((one, True))
                ahead += [(target, False) for target in targets(one)]
    return order


def _named(cycle: Sequence[_Edge]) -> str:
    """Return the name of a cycle, by its edges."""
    kinds = [edge.kind for edge in cycle]
    against = sum(edge.against for edge in cycle)
    if against == 0:
        return "G1c circular information flow" if "wr" in kinds else "G0 write cycle"
    if against == 1:
        return "G-single read skew"
    return "G2 phantom" if "rw of a set" in kinds else "G2-item write skew"


def _shown(cycle: Sequence[_Edge]) -> str:
    parts = (f"{edge.source.name} -{edge.kind} {edge.key}-> " for edge in cycle)
    return "".join(parts) + cycle[0].source.name
