"""The search for anomalies finds each kind of them in a history made by hand, and nothing where there is none."""

from __future__ import annotations

from itertools import count

import pytest
from anomalies import Level, Op, Transaction, Version, anomalies

SERIALIZABLE, SNAPSHOT, COMMITTED = "serializable", "snapshot", "read_committed"
LEVELS: tuple[Level, ...] = (SERIALIZABLE, SNAPSHOT, COMMITTED)


def r(key: str, *value: int) -> Op:
    return Op("read", key, value)


def w(key: str, *value: int) -> Op:
    return Op("write", key, value)


def scan(key: str, *value: int) -> Op:
    return Op("scan", key, value)


def add(key: str, *value: int) -> Op:
    return Op("add", key, value)


UNDONE = Op("scan", "undone", ())
History = list[list[Op]]


def names(history: History, level: Level | list[Level]) -> set[str]:
    """Return the names of what is found, where all ran at the same time; what ends with UNDONE was undone."""
    levels = [level] * len(history) if isinstance(level, str) else level
    made = [
        Transaction(f"T{number}", of, number, 0.0, 1.0, UNDONE in ops, [op for op in ops if op is not UNDONE])
        for number, ops, of in zip(count(1), history, levels, strict=False)
    ]
    return {found.name for found in anomalies(made)}


WRITE_CYCLE: History = [[w("x", 1), r("y", 2), w("y", 2, 3)], [w("y", 2), r("x", 1), w("x", 1, 4)]]
INFORMATION_CYCLE: History = [[w("x", 1), scan("s", 2)], [add("s", 2), r("x", 1)]]
READ_SKEW: History = [[w("x", 1), w("y", 2)], [r("x"), r("y", 2)]]
SKEW_OF_A_SET: History = [[w("x", 1), add("s", 2)], [r("x", 1), scan("s")]]
HALF_OF_A_SET: History = [[add("s", 1), add("s", 2)], [scan("s", 1)]]
LONG_FORK: History = [[w("x", 1)], [w("y", 2)], [r("x", 1), r("y")], [r("x"), r("y", 2)]]
WRITE_SKEW: History = [[r("x"), w("y", 1)], [r("y"), w("x", 2)]]
SKEW_OF_THREE: History = [[r("x"), w("y", 1)], [r("y"), w("z", 2)], [r("z"), w("x", 3)]]
PHANTOM: History = [[scan("s"), w("x", 1)], [r("x"), add("s", 2)]]
READ_ONLY: History = [[r("x"), r("y"), w("x", 1)], [r("y"), w("y", 2)], [r("x"), r("y", 2)]]  # Fekete et al. 2004
LOST_UPDATE: History = [[r("x"), w("x", 1)], [r("x"), w("x", 2)]]
CHANGED_MEANWHILE: History = [[w("x", 1)], [r("x"), r("x", 1)]]
GROWN_MEANWHILE: History = [[add("s", 1)], [scan("s"), scan("s", 1)]]
SERIAL: History = [
    [r("x"), w("x", 1), add("s", 5)],
    [r("x", 1), scan("s", 5), add("s", 6), scan("s", 5, 6), w("x", 1, 2), r("x", 1, 2)],
    [r("x", 1), w("y", 9), UNDONE],
    [r("x", 1, 2), scan("s", 5, 6), r("y")],
]


@pytest.mark.parametrize(
    ("history", "name", "permitted"),
    [
        pytest.param(WRITE_CYCLE, "G0 write cycle", (), id="G0"),
        pytest.param([[w("x", 1), UNDONE], [r("x", 1)]], "G1a dirty read", (), id="G1a of a list"),
        pytest.param([[add("s", 1), UNDONE], [scan("s", 1)]], "G1a dirty read", (), id="G1a of a set"),
        pytest.param([[w("x", 1), w("x", 1, 2)], [r("x", 1)]], "G1b intermediate read", (), id="G1b"),
        pytest.param(INFORMATION_CYCLE, "G1c circular information flow", (), id="G1c"),
        pytest.param([[r("x", 7)]], "read of what nobody wrote", (), id="no list of anybody"),
        pytest.param([[scan("s", 7)]], "read of what nobody wrote", (), id="no member of anybody"),
        pytest.param([[w("x", 1), r("x")]], "internal", (), id="own write is not seen"),
        pytest.param([[add("s", 1), scan("s")]], "internal", (), id="own member is not seen"),
        pytest.param(CHANGED_MEANWHILE, "internal", (COMMITTED,), id="unrepeatable read"),
        pytest.param(GROWN_MEANWHILE, "internal", (COMMITTED,), id="unrepeatable look"),
        pytest.param(LOST_UPDATE, "lost update", (COMMITTED,), id="lost update"),
        pytest.param(READ_SKEW, "G-single read skew", (COMMITTED,), id="read skew"),
        pytest.param(SKEW_OF_A_SET, "G-single read skew", (COMMITTED,), id="read skew of a set"),
        pytest.param(HALF_OF_A_SET, "G-single read skew", (COMMITTED,), id="half of a commit"),
        pytest.param(LONG_FORK, "G2-item write skew", (COMMITTED,), id="long fork"),
        pytest.param(WRITE_SKEW, "G2-item write skew", (COMMITTED, SNAPSHOT), id="write skew"),
        pytest.param(SKEW_OF_THREE, "G2-item write skew", (COMMITTED, SNAPSHOT), id="write skew of three"),
        pytest.param(PHANTOM, "G2 phantom", (COMMITTED, SNAPSHOT), id="phantom"),
        pytest.param(READ_ONLY, "G2-item write skew", (COMMITTED, SNAPSHOT), id="read-only anomaly"),
    ],
)
def test_an_anomaly_is_found_where_it_is_not_permitted(
    history: History, name: str, permitted: tuple[Level, ...]
) -> None:
    told = {level: names(history, level) for level in LEVELS}
    assert {level for level in LEVELS if name not in told[level]} == set(permitted)
    assert all(not told[level] for level in permitted)


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_is_found_in_what_ran_one_after_another(level: Level) -> None:
    assert names(SERIAL, level) == set()
    assert names([], level) == set()


def test_each_is_held_to_its_own_level() -> None:
    assert names(LOST_UPDATE, [SERIALIZABLE, COMMITTED]) == set()
    assert names(WRITE_SKEW, [SERIALIZABLE, SNAPSHOT]) == set()
    assert names(READ_SKEW, [COMMITTED, SERIALIZABLE]) == set()
    assert names(READ_SKEW, [SERIALIZABLE, COMMITTED]) == set()
    assert names(READ_ONLY, [SERIALIZABLE, SERIALIZABLE, SNAPSHOT]) == set()
    assert names([[r("x"), r("y")], *READ_SKEW], [COMMITTED, SNAPSHOT, SERIALIZABLE]) == {"G-single read skew"}


def test_a_cycle_is_found_through_one_of_a_lower_level() -> None:
    between: History = [[w("x", 1), w("y", 9)], [r("x", 1), w("x", 1, 2)], [r("x", 1, 2), r("y")]]
    assert names(between, [SERIALIZABLE, COMMITTED, SNAPSHOT]) == {"G-single read skew"}
    behind: History = [[w("x", 1)], [r("x", 1), w("x", 1, 2), w("y", 9)], [r("x"), r("y", 9)]]
    assert names(behind, [COMMITTED, SERIALIZABLE, SNAPSHOT]) == {"G-single read skew"}


def test_what_one_of_a_lower_level_overwrote_is_not_held_against_who_overwrote_that() -> None:
    history: History = [[r("x"), w("y", 1)], [w("x", 2)], [r("y"), r("x", 2), w("x", 2, 3)]]
    for level in (SNAPSHOT, COMMITTED):
        assert names(history, [SERIALIZABLE, level, SERIALIZABLE]) == set()
    assert names(history, SERIALIZABLE) == {"G2-item write skew"}


@pytest.mark.parametrize(
    ("sessions", "name"), [((1, 1), "read your writes"), ((1, 2), "stale read")], ids=["of its own", "of another"]
)
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("wrote", "read"), [(w("x", 1), r("x")), (add("s", 1), scan("s"))], ids=["list", "set"])
def test_what_was_told_before_is_seen(wrote: Op, read: Op, level: Level, sessions: tuple[int, int], name: str) -> None:
    first = Transaction("T1", "serializable", sessions[0], 0.0, 1.0, False, [wrote])
    late = Transaction("T2", level, sessions[1], 2.0, 3.0, False, [read])
    meanwhile = Transaction("T3", level, sessions[1], 0.5, 3.0, False, [read])
    assert {found.name for found in anomalies([first, late])} == {name}
    assert anomalies([first, meanwhile]) == []


@pytest.mark.parametrize(("wrote", "read"), [(w("x", 1), r("x")), (add("s", 1), scan("s"))], ids=["list", "set"])
def test_a_replica_shows_each_its_own_writes_and_others_later(wrote: Op, read: Op) -> None:
    for session, names_ in [(1, {"read your writes"}), (2, set())]:
        first = Transaction("T1", "serializable", 1, 0.0, 1.0, False, [wrote])
        late = Transaction("T2", "snapshot", session, 2.0, 3.0, False, [read])
        assert {found.name for found in anomalies([first, late], replicated=True)} == names_


def test_a_replica_may_show_two_commits_in_another_order_but_no_half_of_one() -> None:
    for history, found in [
        (LONG_FORK, set()),
        (READ_SKEW, {"G-single read skew"}),
        (HALF_OF_A_SET, {"G-single read skew"}),
    ]:
        made = [Transaction(f"T{n}", "snapshot", n, 0.0, 1.0, False, ops) for n, ops in enumerate(history, 1)]
        assert {one.name for one in anomalies(made, replicated=True)} == found


def test_what_another_has_seen_is_seen_after_it() -> None:
    value: Version = (1,)
    writer = Transaction("T1", "serializable", 1, 0.0, 9.0, False, [Op("write", "x", value)])
    seer = Transaction("T2", "snapshot", 2, 1.0, 2.0, False, [Op("read", "x", value)])
    blind = Transaction("T3", "snapshot", 2, 3.0, 4.0, False, [Op("read", "x", ())])
    assert {found.name for found in anomalies([writer, seer, blind])} == {"read your writes"}


def test_where_is_told_by_the_names_of_the_transactions() -> None:
    made = [Transaction(f"T{n}", SERIALIZABLE, n, 0.0, 1.0, False, ops) for n, ops in enumerate(WRITE_SKEW, 1)]
    assert [found.where for found in anomalies(made)] == ["T1 -rw x-> T2 -rw y-> T1"]
