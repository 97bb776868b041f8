"""Each check of scripts/check passes a small sound project and fails the same project with one fault in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

LAYERS = ("cli", "testing", "app", "inbound", "adapters", "deliver", "kernel", "ports", "model")
CONF = 'project = "Sample"\nextensions = ["myst_parser"]\n'


@pytest.fixture
def project(pytestconfig: pytest.Config, tmp_path: Path) -> Path:
    """A project of the real shape and settings, with hardly any code."""
    root = pytestconfig.rootpath
    for name in ("scripts", ".venv"):
        (tmp_path / name).symlink_to(root / name)
    shutil.copy2(root / "uv.lock", tmp_path)
    settings = (root / "pyproject.toml").read_text(encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(_without_exceptions(settings), encoding="utf-8")
    package = tmp_path / "src/mainstay"
    for layer in LAYERS:
        _write(package / layer / "__init__.py", f'"""The layer {layer}."""\n')
    _write(
        package / "__init__.py", '"""A sample."""\n\nfrom mainstay.model.things import thing\n\n__all__ = ["thing"]\n'
    )
    _write(
        package / "model/things.py",
        '"""Things."""\n\n\ndef thing(size: int) -> int:\n    """Answer."""\n    return size\n',
    )
    _write(
        package / "model/more.py",
        '"""More things."""\n\nfrom mainstay.model.things import thing\n\nmore: int = thing(1)\n',
    )
    _write(package / "py.typed", "")
    _write(tmp_path / "tests/plugins/plugin.py", '"""A plugin."""\n')
    _write(tmp_path / "examples/one/mainstay.toml", "")
    _write(tmp_path / "examples/one/one/__init__.py", '"""An example."""\n')
    _write(tmp_path / "docs/conf.py", CONF)
    _write(tmp_path / "docs/index.md", "# Sample\n\n```{toctree}\ncode-map\n```\n")
    _write(tmp_path / "README.md", "# Sample\n")
    _write(tmp_path / "CHANGELOG.md", "# Changelog\n\n<!-- towncrier release notes start -->\n")
    _write(tmp_path / "changelog.d/+one.added.md", "Something.\n")
    _write(tmp_path / ".gitignore", "/scripts\n/.venv\n.mypy_cache/\n.mainstay/\nsite/\n__pycache__/\n.ruff_cache/\n")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run([sys.executable, "scripts/lib/code_map.py", "--write"], cwd=tmp_path, check=True)
    return tmp_path


def _without_exceptions(settings: str) -> str:
    """The settings without the exceptions that are named for the real tree."""
    kept, dropping = [], False
    for line in settings.splitlines():
        if line.startswith("["):
            dropping = line.endswith(".exceptions]")
        if not dropping or line.startswith("["):
            kept.append(line)
    return "\n".join(kept) + "\n"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _append(path: str, text: str) -> Callable[[Path], None]:
    def plant(project: Path) -> None:
        with (project / path).open("a", encoding="utf-8") as target:
            target.write(text)

    return plant


def _replace(path: str, old: str, new: str) -> Callable[[Path], None]:
    def plant(project: Path) -> None:
        text = (project / path).read_text(encoding="utf-8")
        assert old in text
        (project / path).write_text(text.replace(old, new), encoding="utf-8")

    return plant


THINGS = "src/mainstay/model/things.py"
LONG = "\n\ndef long() -> None:\n" + "    thing(1)\n" * 41
BRANCHED = "\n\ndef branched(size: int) -> None:\n" + "    if size:\n        thing(1)\n" * 11
REGISTRY = "https://" + "pypi" + ".org/simple"
PRIVATE_PATH = "/" + "root/notes.txt"
CEILINGS = "[tool.mainstay.ceilings.exceptions]"
FAULTS: list[tuple[str, Callable[[Path], None], str]] = [
    ("lint", _append(THINGS, "\n\nimport os\n"), "F401"),
    ("format", _append(THINGS, "\n\nwide = { 'a':1 }\n"), "would be reformatted"),
    ("types", _append(THINGS, '\n\nbad: int = "text"\n'), "Incompatible types"),
    ("tool-types", _append("tests/plugins/plugin.py", "\n\ndef untyped(a):\n    return a\n"), "no-untyped-def"),
    ("example-types", _append("examples/one/one/__init__.py", '\nbad: int = "text"\n'), "Incompatible types"),
    ("public-types", _replace(THINGS, "size: int", "size"), "mainstay.model.things.thing"),
    ("layers", _append(THINGS, "\nfrom mainstay import kernel\n"), "mainstay.model.things -> mainstay.kernel"),
    (
        "layers",
        _append("src/mainstay/cli/__init__.py", "\nfrom mainstay import thing\n"),
        "mainstay.cli -> mainstay (l.3)",
    ),
    ("cycles", _append(THINGS, "\nfrom mainstay.model import more\n"), "No cycles are allowed in mainstay.model"),
    ("core", _append(THINGS, "\nimport random\n"), "random is not for the core"),
    ("core", _append(THINGS, "\nimport sqlalchemy\n"), "sqlalchemy is not for the core"),
    ("core", _append(THINGS, "\nfrom datetime import datetime\nnow = datetime.now()\n"), "datetime.now is not"),
    ("ceilings", _append(THINGS, LONG), "things.py::long: line 9: 42 lines"),
    ("ceilings", _append(THINGS, BRANCHED), "complexity 12, at most 10"),
    ("ceilings", _append(THINGS, "\n" * 400), "lines, at most 400"),
    ("ceilings", _replace("pyproject.toml", CEILINGS, f'{CEILINGS}\n"x.py" = "once"'), "x.py: listed as an exception"),
    ("places", _append("README.md", f"\n{REGISTRY}\n"), "README.md:3: a package registry's address"),
    ("places", _append("README.md", f"\nSee {PRIVATE_PATH}\n"), "README.md:3: a path of one machine"),
    ("code-map", _append("src/mainstay/model/other.py", '"""Other."""\n'), "`other.py`: Other."),
    ("code-map", _append("src/mainstay/model/other.py", "x = 1\n"), "says in its docstring"),
    ("docs", _append("docs/index.md", "\n[nowhere](missing.md)\n"), "missing.md"),
    ("changelog", _append("changelog.d/+two.news.md", "Something else.\n"), "Invalid news fragment name: +two.news.md"),
    ("lock", _replace("pyproject.toml", "dependencies = [", 'dependencies = [\n  "coverage",'), "FAILED lock"),
]


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where the tools may keep what they need, so that mypy reads the standard library's types once."""
    folder = tmp_path_factory.mktemp("caches")
    return {"TMPDIR": str(folder), "MYPY_CACHE_DIR": str(folder / "mypy")}


def check(project: Path, caches: dict[str, str], *names: str) -> subprocess.CompletedProcess[str]:
    command = [".venv/bin/python", "scripts/lib/check.py", *names]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # it is no core of ours
    environ = {**kept, **caches}
    return subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, check=False)


def test_a_sound_project_passes(project: Path, caches: dict[str, str]) -> None:
    result = check(project, caches)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(("name", "plant", "complaint"), FAULTS)
def test_a_planted_fault_is_found(
    project: Path, caches: dict[str, str], name: str, plant: Callable[[Path], None], complaint: str
) -> None:
    plant(project)
    result = check(project, caches, name)
    assert result.returncode == 1, result.stdout + result.stderr
    assert complaint in result.stdout


def test_every_check_is_tried(project: Path) -> None:
    listing = subprocess.run(
        [".venv/bin/python", "scripts/lib/check.py", "--list"], cwd=project, capture_output=True, text=True, check=True
    )
    assert {line.split()[0] for line in listing.stdout.splitlines()} == {name for name, _, _ in FAULTS}


def test_an_unknown_check_is_refused(project: Path, caches: dict[str, str]) -> None:
    assert check(project, caches, "nonesuch").returncode == 2
