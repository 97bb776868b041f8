"""A version as whoever deploys it runs it: the commands of ``mainstay`` in its folder, each a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mainstay.app.settings import DEVELOPMENT_MARK
from mainstay.testing.rollout.trees import Tree

COMMAND_SECONDS = 600.0
START_SECONDS = 60.0
END_SECONDS = 45.0
_LOOK_SECONDS = 0.02
_ERRORS = 3
_ISSUER = "mainstay-rollout"

# What a project may say of its surroundings that does not hold for two versions side by side on this machine.
_OWN: Mapping[str, str] = {
    "MAINSTAY_PROFILE": "development",
    "MAINSTAY_DATABASE_CREATE": "false",
    "MAINSTAY_DATABASE_SYNCHRONOUS": "full",
    "MAINSTAY_DATABASE_REPLICA_URL": "",
    "MAINSTAY_DATABASE_DIRECT_URL": "",
    "MAINSTAY_DATABASE_POOLER": "false",
    "MAINSTAY_HTTP_HOST": "127.0.0.1",
    "MAINSTAY_HTTP_PORT": "0",
    "MAINSTAY_HTTP_WORKERS": "1",
    "MAINSTAY_HTTP_HOSTS": "",
    "MAINSTAY_HTTP_TLS_CERTIFICATE": "",
    "MAINSTAY_HTTP_TLS_KEY": "",
    "MAINSTAY_HTTP_DRAIN_DELAY": "0",
    "MAINSTAY_ADMIN_ENABLED": "false",
    "MAINSTAY_EXPOSE_DOCS": "public",
    "MAINSTAY_LOG_FORMAT": "json",
    "MAINSTAY_LOG_LEVEL": "warning",
    "MAINSTAY_AUTH_ALGORITHM": "HS256",
    "MAINSTAY_AUTH_ISSUER": _ISSUER,
    "MAINSTAY_AUTH_AUDIENCE": _ISSUER,
    "MAINSTAY_AUTH_ROLES_CLAIM": "roles",
    "MAINSTAY_AUTH_TENANT_CLAIM": "tenant",
}


class CommandFailed(Exception):
    """A command of one version did not do what it is for; the text is what it said."""


class Surroundings:
    """What all processes of a proof are given: the database, and keys that both versions believe."""

    def __init__(self, database: Mapping[str, str], folder: Path) -> None:
        self.folder = folder
        self._key = DEVELOPMENT_MARK + secrets.token_urlsafe(32)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAINSTAY_AUTH_KEY")}
        self.environ: Mapping[str, str] = {
            **inherited,
            **_OWN,
            **database,
            "MAINSTAY_AUTH_KEY": self._key,
            "MAINSTAY_SEALING_SECRET": DEVELOPMENT_MARK + secrets.token_urlsafe(32),
            "MAINSTAY_BLOBS_URL": f"file:///{folder / 'blobs'}",
            "PYTHONUNBUFFERED": "1",
        }

    def token(self, subject: str, roles: frozenset[str], scopes: frozenset[str]) -> str:
        """Return a token that both versions believe."""
        from mainstay.adapters.jose import load_secret, mint

        return mint(
            load_secret(self._key),
            issuer=_ISSUER,
            audience=_ISSUER,
            subject=subject,
            now=time.time(),
            lifetime=24 * 3600,
            roles=roles,
            scopes=scopes,
            tenant="rollout",
        )


class Deployment:
    """One version. What is started ends with ``stop``, or for certain with ``end``."""

    def __init__(self, name: str, tree: Tree, surroundings: Surroundings) -> None:
        self.name = name
        self.tree = tree
        self._surroundings = surroundings
        self._out = surroundings.folder / f"{name}-{secrets.token_hex(3)}.out"
        self._log = self._out.with_suffix(".log")
        self._process: asyncio.subprocess.Process | None = None

    async def command(self, *arguments: str, fine: tuple[int, ...] = (0,)) -> Any:
        """Run a command to its end, and return its facts. Raises ``CommandFailed``."""
        process = await self._started(
            *arguments, out=asyncio.subprocess.PIPE, log=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                out, said = await process.communicate()
        except TimeoutError:
            raise self._failed(arguments, f"it did not end in {COMMAND_SECONDS:g} s") from None
        finally:
            _kill(process)
        if process.returncode not in fine:
            raise self._failed(arguments, said.decode(errors="replace"))
        return json.loads(out)

    async def _started(self, *arguments: str, out: Any, log: Any, stdin: Any) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "mainstay",
            *arguments,
            "--format",
            "json",
            cwd=self.tree.folder,
            env=dict(self._surroundings.environ),
            stdin=stdin,
            stdout=out,
            stderr=log,
            start_new_session=True,
        )

    def _failed(self, arguments: tuple[str, ...], said: str) -> CommandFailed:
        return CommandFailed(f"{self.name} version: mainstay {' '.join(arguments)}: {said.strip()}")

    async def run(self) -> int:
        """Serve, and return the port once calls are taken. Raises ``CommandFailed``."""
        with self._out.open("wb") as out, self._log.open("wb") as log:
            self._process = await self._started("run", out=out, log=log, stdin=asyncio.subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while (port := self._announced()) is None:
            if self._process.returncode is not None or time.monotonic() > deadline:
                raise self._failed(("run",), self._log.read_text(errors="replace") or "it did not come to serve")
            await asyncio.sleep(_LOOK_SECONDS)
        return port

    def _announced(self) -> int | None:
        text = self._out.read_text(errors="replace")
        start = text.find('{\n  "admin"')
        if start < 0 or "\n}\n" not in text[start:]:
            return None
        facts, _ = json.JSONDecoder().raw_decode(text, start)
        return urlsplit(str(facts["url"])).port

    async def stop(self) -> None:
        """Ask it to end, and wait until it has. Raises ``CommandFailed`` where it did not end well."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(END_SECONDS):
                code = await process.wait()
        except TimeoutError:
            raise self._failed(("run",), f"it did not end in {END_SECONDS:g} s") from None
        if code:
            raise self._failed(("run",), f"it ended with code {code}: {self._log.read_text(errors='replace')}")

    def end(self) -> None:
        """End it for certain."""
        if self._process is not None:
            _kill(self._process)

    def errors(self) -> list[str]:
        """Return the last errors that its log tells, each once."""
        lines = [*self._lines(self._out), *self._lines(self._log)]
        told = [line for line in lines if line.get("level") == "error"]
        texts = [str(line.get("traceback") or line.get("text") or line) for line in told]
        return list(dict.fromkeys(texts))[-_ERRORS:]

    @staticmethod
    def _lines(path: Path) -> list[dict[str, Any]]:
        found = []
        for line in path.read_text(errors="replace").splitlines() if path.exists() else ():
            with contextlib.suppress(ValueError):  # what a team prints besides, or a line that was cut by a kill
                value = json.loads(line)
                found += [value] if isinstance(value, dict) else []
        return found


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended by itself
        if process.returncode is None:
            process.kill()
