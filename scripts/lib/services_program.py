"""One outside program: where it is found, how it is started, looked after and stopped for good."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shutil
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services_data import DataFolder
from services_run import ServiceError, last_lines, run

STEP_SECONDS = 600.0  # one may fetch what it needs
READY_SECONDS = 180.0
PROBE_SECONDS = 10.0
STOP_SECONDS = 10.0
OTHER_PORT = re.compile(r"\{(\w+)\.port\}")
FURTHER_PORT = re.compile(r"\{(port\.\w+)\}")
OTHERS_SETTINGS = ("PG", "MYSQL_", "MARIADB_")  # a person's own servers are none of ours
ADVICE = "  Mend that, then call scripts/services up again."


@dataclass(frozen=True)
class Service:
    """An entry of scripts/services.toml, which tells of its fields, and where its state is kept between two calls."""

    name: str
    state: Path
    earlier: Mapping[str, Service] = field(repr=False)
    command: Sequence[str] = ()
    ready: Sequence[str] = ()
    programs: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    packages: Sequence[str] = ()
    path: Sequence[str] = ()
    user: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    prepare: Sequence[Sequence[str]] = ()
    setup: Sequence[Sequence[str]] = ()
    clear: Sequence[Sequence[str]] = ()
    stop_signal: str = "TERM"

    def missing(self) -> list[str]:
        """The programs that are not found."""
        steps = (self.command, self.ready, *self.prepare, *self.setup, *self.clear)
        wanted = dict.fromkeys([*self.programs, *(words[0] for words in steps if words)])
        return [program for program in wanted if not shutil.which(program, path=self._search_path())]

    def running(self) -> dict[str, Any] | None:
        """What is known of it, or None where it is gone, was not set up, or uses a service that has moved since."""
        record = self._process()
        return record if record and record.get("others") == self._others() else None

    def port(self) -> str | None:
        """Where it answers, once it does."""
        record = self.running()
        return str(record["port"]) if record else None

    def variables(self) -> dict[str, str]:
        """What the tests read, or nothing while it does not run."""
        record = self.running()
        return {name: _filled(value, record) for name, value in self.env.items()} if record else {}

    def start(self) -> None:
        """Start it, wait until it answers and set it up; when that fails, nothing but the log is left."""
        self.stop()
        shutil.rmtree(self.state, ignore_errors=True)
        self.state.mkdir(parents=True)
        others = self._others()
        if None in others.values():
            raise ServiceError(f"{self.name} needs {' and '.join(others)} before it, and running")
        data = DataFolder.of(self.state)
        record: dict[str, Any] = {"port": str(_free_port()), "data": str(data.path), "root": str(Path.cwd())}
        record |= {f"{name}.port": port for name, port in others.items()}
        record |= {name: str(_free_port()) for name in self._named(FURTHER_PORT)}
        try:
            data.make(self.user, {name: _filled(text, record) for name, text in self.files.items()})
            for words in self.prepare:
                self._step("be prepared", words, record)
            pid = _spawn(self._line(self.command, record), self._environ(record), self._log)
            record |= {"pid": pid, "started": _started(pid)}
            self._save(record)
            self._await(record)
            for words in self.setup:
                self._step("be set up", words, record)
            self._save({**record, "others": others})
        except BaseException:
            self.stop()
            raise

    def stop(self) -> bool:
        """Stop it, gently at first, and remove its data; False when it was not running."""
        record = self._process()
        if record:
            self._end(record)
        folder = self._record().get("data")  # where the system's temporary folder was then
        data = DataFolder(Path(folder)) if folder else DataFolder.of(self.state)
        if data.stands(self.user):
            known = {"data": str(data.path)}
            for words in self.clear:
                run(self._line(words, known), Path(os.devnull), STEP_SECONDS, self._environ(known))
            data.remove()
        (self.state / "process.json").unlink(missing_ok=True)
        return record is not None

    @property
    def _log(self) -> Path:
        return self.state / "log"

    def _record(self) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads((self.state / "process.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return record

    def _save(self, record: Mapping[str, Any]) -> None:
        draft = self.state / "process.draft"
        draft.write_text(json.dumps(record))
        draft.replace(self.state / "process.json")

    def _process(self) -> dict[str, Any] | None:
        """The record of its process, or None where that very process is gone."""
        record = self._record()
        alive = record.get("started") and _started(int(record["pid"])) == record["started"]
        return record if alive else None

    def _others(self) -> dict[str, str | None]:
        """The ports of the services that this one uses."""
        names = self._named(OTHER_PORT)
        return {name: self.earlier[name].port() if name in self.earlier else None for name in names}

    def _named(self, pattern: re.Pattern[str]) -> list[str]:
        """What its words name, each once."""
        words = [*self.command, *self.ready, *self.env.values(), *self.files.values()]
        words += [word for step in (*self.prepare, *self.setup, *self.clear) for word in step]
        return list(dict.fromkeys(name for word in words for name in pattern.findall(word)))

    def _search_path(self) -> str:
        """Where programs are looked for: its own folders, the newest version first, then as usual."""
        own = [folder for pattern in self.path for folder in sorted(glob.glob(pattern), key=_version, reverse=True)]
        return os.pathsep.join([*own, os.environ.get("PATH", os.defpath)])

    def _environ(self, record: Mapping[str, Any]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OTHERS_SETTINGS)}
        return {**kept, "PATH": self._search_path(), "HOME": record["data"]}

    def _line(self, words: Sequence[str], record: Mapping[str, Any]) -> list[str]:
        """A command of the table as it is run: filled in, in the data folder, as the account that it asks for."""
        program = shutil.which(words[0], path=self._search_path())
        if program is None:
            raise ServiceError(f"{self.name} needs the program {words[0]}: install it")
        entry = DataFolder(Path(record["data"])).entry(self.user)
        return [*entry, program, *(_filled(word, record) for word in words[1:])]

    def _step(self, purpose: str, words: Sequence[str], record: Mapping[str, Any]) -> None:
        fault = run(self._line(words, record), self._log, STEP_SECONDS, self._environ(record))
        if fault:
            what = f"{self.name} could not {purpose}: {words[0]}: {fault}"
            raise ServiceError(f"{what}\n{last_lines(self._log)}\n{ADVICE}")

    def _await(self, record: Mapping[str, Any]) -> None:
        """Wait until it answers."""
        probe = self.state / "ready.log"
        deadline = time.monotonic() + READY_SECONDS
        while True:
            probe.write_bytes(b"")
            fault = run(self._line(self.ready, record), probe, PROBE_SECONDS, self._environ(record))
            if not _started(record["pid"]):  # whoever answered at that port was another
                raise ServiceError(f"{self.name} did not come up: it ended\n{last_lines(self._log)}\n{ADVICE}")
            if not fault:
                return
            if time.monotonic() > deadline:
                what = f"{self.name} did not come up within {READY_SECONDS:.0f} s: {self.ready[0]}: {fault}"
                raise ServiceError(f"{what}\n{last_lines(probe)}\n{last_lines(self._log)}\n{ADVICE}")
            time.sleep(0.1)

    def _end(self, record: Mapping[str, Any]) -> None:
        pid = int(record["pid"])
        for wish in (signal.Signals[f"SIG{self.stop_signal}"], signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, wish)
            deadline = time.monotonic() + STOP_SECONDS
            while time.monotonic() < deadline:
                if self._process() is None:
                    return
                time.sleep(0.05)
        raise ServiceError(f"{self.name} (process {pid}) does not stop: end it, then call scripts/services down")


def _spawn(arguments: list[str], environ: Mapping[str, str], log: Path) -> int:
    """Start it in a session of its own, which outlives this script."""
    streams: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawnp(arguments[0], arguments, environ, file_actions=streams, setsid=True)


def _filled(text: str, record: Mapping[str, Any]) -> str:
    """The text with `{port}`, `{data}` and the like replaced; other braces stay."""
    return re.sub(r"\{([\w.]+)\}", lambda found: str(record.get(found[1], found[0])), text)


def _version(folder: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", folder)]


def _started(pid: int) -> str:
    """The start time of a live process; with it a number that was given again is not mistaken for the old process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
