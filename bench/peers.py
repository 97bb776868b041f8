"""The contenders: each started by the command that its users type, in its production form."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bench.measure import Server

HERE = Path(__file__).resolve().parent
SECRET = "bench-secret-bench-secret-bench-secret"
NAMES = ("mainstay", "fastapi")


def make(name: str, work: Path, *, observed: bool) -> Server:
    """Return a contender's server; its environment and database are made below ``work``.

    ``observed`` asks a peer for metrics and a structured log. Ours always has both.
    """
    return _MAKERS[name](work, observed)


def _mainstay(work: Path, observed: bool) -> Server:  # noqa: ARG001 - one form for all
    folder = HERE / "apps" / "ours"
    environment = {
        "MAINSTAY_PROFILE": "production",
        "MAINSTAY_AUTH_KEY": SECRET,
        "MAINSTAY_SEALING_SECRET": SECRET + "-sealing",
        "MAINSTAY_DATABASE_URL": f"sqlite:///{work / 'ours.sqlite3'}",
        "PYTHONPATH": str(folder),
    }
    tool = str(Path(sys.executable).parent / "mainstay")
    subprocess.run([tool, "db", "migrate"], cwd=folder, env={**os.environ, **environment}, check=True, stdout=2)
    command = [tool, "run"]
    return Server("mainstay", command, folder, environment, "http://127.0.0.1:9100")


def _fastapi(work: Path, observed: bool) -> Server:
    folder = HERE / "apps" / "fastapi"
    python = environment_of(folder, work)
    environment = {
        "BENCH_SECRET": SECRET,
        "BENCH_DATABASE": f"sqlite+aiosqlite:///{work / 'fastapi.sqlite3'}",
        "BENCH_OBSERVED": "1" if observed else "",
    }
    command = [str(python), "-m", "uvicorn", "app:app", "--port", "9200", "--no-access-log", "--log-level", "warning"]
    return Server("fastapi", command, folder, environment, "http://127.0.0.1:9200")


def environment_of(folder: Path, work: Path) -> Path:
    """Return the Python of a peer's own environment, made where it is missing."""
    place = work / f"env-{folder.name}"
    python = place / "bin" / "python"
    if not (place / "done").exists():
        uv = os.environ.get("UV") or str(Path(sys.executable).parent / "uv")
        subprocess.run([uv, "venv", "-q", "--clear", "-p", sys.executable, str(place)], check=True)
        wanted = str(folder / "requirements.txt")
        subprocess.run([uv, "pip", "install", "-q", "--python", str(python), "-r", wanted], check=True)
        (place / "done").touch()
    return python


_MAKERS = {"mainstay": _mainstay, "fastapi": _fastapi}
