"""A server of a test's own, as scripts/services.toml has it: to be killed, and started again on what it has kept."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

PATIENCE = 60.0


class OwnService:
    """One service of the table, with its state in a folder of the test's; ``more`` is added to its files."""

    def __init__(self, name: str, folder: Path, more: Mapping[str, str]) -> None:
        sys.path.insert(0, "scripts/lib")
        try:
            services = importlib.import_module("services")
            self._program = importlib.import_module("services_program")
        finally:
            sys.path.remove("scripts/lib")
        (self._service,) = (one for one in services.load(Path("scripts/services.toml"), folder) if one.name == name)
        files = {**self._service.files, **{file: self._service.files.get(file, "") + more[file] for file in more}}
        self._service = replace(self._service, files=files)
        self._record: dict[str, Any] = {}

    def start(self) -> None:
        """Start it for the first time."""
        folder = Path(tempfile.gettempdir())
        folder.chmod(folder.stat().st_mode | 0o011)  # the server's account has its data below it
        self._service.start()
        self._record = self._service.running()

    @property
    def url(self) -> str:
        """What the tests read."""
        (found,) = self._service.variables().values()
        return str(found)

    def port(self, name: str) -> int:
        """Return the port that a file or the command names as ``{port.NAME}``."""
        return int(self._program._filled(f"{{port.{name}}}", self._record))

    def kill(self) -> None:
        """End it at once, with all that it has started."""
        os.killpg(self._record["pid"], signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while self._service.running() is not None:
            assert time.monotonic() < deadline, "it does not end"
            time.sleep(0.02)

    def start_again(self) -> None:
        """Start it on what it has kept, at the same port."""
        service, record = self._service, self._record
        line = service._line(service.command, record)
        pid = self._program._spawn(line, service._environ(record), service._log)
        record |= {"pid": pid, "started": self._program._started(pid)}
        service._save(record)
        service._await(record)

    def stop(self) -> None:
        """End it, and take its data away."""
        self._service.stop()


@contextmanager
def own_service(name: str, folder: Path, more: Mapping[str, str] = MappingProxyType({})) -> Iterator[OwnService]:
    """Have a server until the block ends; ``more`` is added to the files that it is set up by."""
    own = OwnService(name, folder, more)
    try:
        own.start()
        yield own
    finally:
        own.stop()
