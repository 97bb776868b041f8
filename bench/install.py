"""Environments of the peers, each its own, made once below ``.mainstay/bench`` from committed locks."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
APPS = HERE / "apps"
ROOT = HERE.parent
_ADVICE = {
    "node": "apt-get install nodejs npm, or a package from nodejs.org (20 or newer)",
    "npm": "apt-get install npm",
    "go": "apt-get install golang-go, or an archive from go.dev (1.26 or newer)",
    "gcc": "apt-get install gcc libc6-dev",
    "make": "apt-get install make",
    "g++": "apt-get install g++",
}


class Absent(Exception):
    """A contender cannot be set up here; the message says what to install."""


def need(*tools: str) -> None:
    """Raise ``Absent`` unless all these programs are on the path."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        raise Absent("; ".join(f"{tool} is missing: {_ADVICE.get(tool, 'install it')}" for tool in missing))


def python(name: str, work: Path) -> Path:
    """Return the Python of a peer's environment with exactly its locked packages. Raises ``Absent``."""
    place = work / f"env-{name}"
    lock = APPS / name / "requirements.txt"

    def make() -> None:
        uv = str(Path(sys.executable).parent / "uv")
        settings = _indexes()
        _run([uv, "venv", "-q", "--clear", "-p", sys.executable, str(place)], ROOT, settings)
        target = ["--python", str(place / "bin" / "python")]
        _run([uv, "pip", "install", "-q", "--require-hashes", *target, "-r", str(lock)], ROOT, settings)

    _once(place, [lock], make, sys.executable)
    return place / "bin" / "python"


def node(name: str, work: Path) -> Path:
    """Return the folder of a Node application, its parts and locked packages laid into it. Raises ``Absent``."""
    need("node", "npm", "g++", "make")
    place = work / f"env-{name}"
    sources = [*sorted((APPS / name).glob("*.js*")), *sorted((APPS / "node_parts").glob("*.js"))]

    def make() -> None:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for source in sources:
            shutil.copy(source, place)
        _run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], place, os.environ)

    _once(place, sources, make)
    return place


def go(work: Path) -> Path:
    """Return the binary of the Go application, built with the locked modules. Raises ``Absent``."""
    need("go", "gcc")
    place = work / "env-go"
    folder = APPS / "go"

    def make() -> None:
        place.mkdir(parents=True, exist_ok=True)
        settings = {**os.environ, "CGO_ENABLED": "1"}
        _run(["go", "build", "-mod=readonly", "-buildvcs=false", "-o", str(place / "server"), "."], folder, settings)

    _once(place, sorted(folder.glob("*")), make)
    return place / "server"


def _once(place: Path, sources: list[Path], make: Callable[[], None], base: str = "") -> None:
    """Make a place unless it was made from these very sources; a failure or a kill leaves no stamp."""
    mark = hashlib.sha256(base.encode())
    for source in sources:
        mark.update(source.name.encode() + b"\0" + source.read_bytes())
    stamp = place / "made-from"
    if stamp.is_file() and stamp.read_text() == mark.hexdigest():
        return
    print(f"making {place.name}", file=sys.stderr, flush=True)
    stamp.unlink(missing_ok=True)
    make()
    stamp.write_text(mark.hexdigest())


def _run(command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Absent(f"`{' '.join(command[:3])}` ended with {done.returncode}:\n{done.stderr[-1500:]}")


def _indexes() -> dict[str, str]:
    """Return the environment in which uv finds the index that pip would use here."""
    folder = str(ROOT / "scripts" / "lib")
    if folder not in sys.path:
        sys.path.append(folder)
    from index import uv_environment  # type: ignore[import-not-found]  # a module of the scripts, found at run time

    found: dict[str, str] = uv_environment(os.environ)
    return {name: value for name, value in found.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
