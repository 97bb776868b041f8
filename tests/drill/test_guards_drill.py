"""Guards are taken out and their tests notice: a share of them in each run, all of them by the drill."""

from __future__ import annotations

import ast
import functools
import math
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from guarding import Guard, drawn, guards_of, taken_out

ROOT = Path(__file__).parents[2]
SHARE = 0.03
CONFORMANCE = sorted((ROOT / "src/mainstay/testing/conformance").glob("*.py"))
GUARDS = guards_of(ROOT)
SEED = random.randrange(10**6)
FIXED = drawn(GUARDS, math.ceil(SHARE * len(GUARDS)), 1)
CHOSEN = [*FIXED, *(guard for guard in drawn(GUARDS, 1, SEED) if guard not in FIXED)]

SOURCE = "def allowed(age):\n    if age < 18:\n        return False\n    return True\n"
TESTS = """from door import allowed


def test_the_young_are_refused():
    assert not allowed(17)


def test_the_old_are_let_in():
    assert allowed(18)
"""
ENTRY = """[[guard]]
name = "age"
file = "src/door.py"
old = "age < 18"
new = "False"
tests = ["tests/test_door.py::test_the_young_are_refused"]
"""


def drill(root: Path, *options: str) -> tuple[int, str]:
    command = [sys.executable, str(Path(__file__).with_name("drill_guards.py")), "--root", str(root), *options]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # a copy is run there
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=1800)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/door.py").write_text(SOURCE)
    (tmp_path / "tests/drill/guards").mkdir(parents=True)
    (tmp_path / "tests/test_door.py").write_text(TESTS)
    (tmp_path / "tests/drill/guards/door.toml").write_text(ENTRY)
    return tmp_path


def test_a_guard_that_is_missed(tree: Path) -> None:
    code, said = drill(tree)
    assert code == 0, said
    assert "killed    age" in said
    assert "1 of 1 guards are missed" in said
    assert (tree / "src/door.py").read_text() == SOURCE


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("test_the_young_are_refused", "test_the_old_are_let_in", "SURVIVED"),
        ('new = "False"', 'new = "("', "BROKEN"),
        ('new = "False"', 'new = "age < 18"', "STALE"),
        ('old = "age < 18"', 'old = "age"', "STALE"),
        ("src/door.py", "src/gate.py", "STALE"),
        ('refused"]', 'refused", "tests/test_door.py"]', "killed"),
        ('refused"]', 'refused", "tests/test_door.py::test_the_old_are_let_in"]', "SURVIVED"),
    ],
)
def test_what_proves_nothing_is_told(tree: Path, old: str, new: str, told: str) -> None:
    (tree / "tests/drill/guards/door.toml").write_text(ENTRY.replace(old, new))
    code, said = drill(tree)
    assert f"{told:9} age" in said
    assert code == (told != "killed")


def test_tests_that_fail_anyway_prove_nothing(tree: Path) -> None:
    (tree / "src/door.py").write_text(SOURCE.replace("< 18", "< 17"))
    code, said = drill(tree)
    assert code == 1
    assert "the tests do not pass on the tree as it is" in said


def test_names_are_chosen_and_are_one_each(tree: Path) -> None:
    assert drill(tree, "--only", "height")[0] == 2
    (tree / "tests/drill/guards/again.toml").write_text(ENTRY)
    with pytest.raises(ValueError, match="guards of one name: age"):
        guards_of(tree)


@pytest.fixture(scope="module")
def names_in() -> Callable[[Path], set[str]]:
    """Return what gives the names of the tests and classes of a file; each is read once."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

    @functools.cache
    def names(path: Path) -> set[str]:
        return {node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, kinds)}

    return names


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_each_entry_is_of_the_tree_as_it_is(guard: Guard, names_in: Callable[[Path], set[str]]) -> None:
    assert taken_out((ROOT / guard.file).read_text(encoding="utf-8"), guard) is not None
    for test in guard.tests:
        file, _, name = test.partition("::")
        known = names_in(ROOT / file) | {name for path in CONFORMANCE for name in names_in(path)}
        assert set(name.partition("[")[0].split("::")) - {""} <= known


def test_a_share_of_them_is_missed() -> None:
    print(f"guards drawn by the seed {SEED}")
    names = [word for guard in CHOSEN for word in ("--only", guard.name)]
    code, said = drill(ROOT, *names)  # in one go: to copy the tree and to compile it takes longer than most tests
    assert code == 0, f"seed {SEED}: {said}"
