"""Runs what a page shows: the fenced blocks of one section of a Markdown file, in order, as a reader would.

```console            each line `$ command` is run by bash; directory and variables carry over. The lines below it
                      are what it must print, `...` standing for anything, alone on a line for any lines; none
                      means that the output does not matter. It must exit with 0, or with N after `# exits N`.
```console server     the last command keeps running; the reader goes on once the lines below it are printed
^C                    a line that stops that server, which must end by itself
```python file=PATH   the block is written to PATH; `append=PATH` adds it to the end
```console skip       is shown only
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

COMMAND_SECONDS = 120.0
SERVER_SECONDS = 60.0
STOP_SECONDS = 15.0
GROUP, SESSION = 2, 3
FENCE = re.compile(r"^```(\w+)([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class TourError(AssertionError):
    """The page and the program do not agree."""


@dataclass(frozen=True)
class Block:
    """One fence: its language, the words after it, and its text."""

    language: str
    words: tuple[str, ...]
    text: str
    line: int

    def option(self, name: str) -> str | None:
        """The value of `name=value` among the words."""
        return next((word.partition("=")[2] for word in self.words if word.startswith(f"{name}=")), None)


@dataclass
class Step:
    """A command and what it must print; no lines, no demand."""

    command: str
    expected: list[str] = field(default_factory=list)

    def exit_code(self) -> int:
        """0, or what `# exits N` at the end of the command says."""
        named = re.search(r"#\s*exits (\d+)\s*$", self.command)
        return int(named[1]) if named else 0


def section(markdown: str, title: str) -> str:
    """The text under the heading `title`, to the next heading of its rank; raises TourError when it is not there."""
    heading = re.search(rf"^(#+) {re.escape(title)}\n", markdown, re.MULTILINE)
    if heading is None:
        raise TourError(f"there is no section called {title!r}")
    rest = re.sub(r"^```.*?^```$", lambda fence: "\0" * len(fence[0]), markdown[heading.end() :], flags=re.M | re.S)
    following = re.search(rf"^#{{1,{len(heading[1])}}} ", rest, re.MULTILINE)
    return markdown[heading.end() : heading.end() + following.start()] if following else markdown[heading.end() :]


def blocks(markdown: str) -> Iterator[Block]:
    """The fenced blocks in order."""
    for fence in FENCE.finditer(markdown):
        line = markdown.count("\n", 0, fence.start()) + 1
        yield Block(fence[1], tuple(shlex.split(fence[2])), fence[3], line)


def steps(text: str) -> list[Step]:
    """The commands of a console block; a command ending in a backslash goes on in the next line."""
    found: list[Step] = []
    for line in text.splitlines():
        if line == "^C" or line.startswith("$ "):
            found.append(Step(line.removeprefix("$ ")))
        elif found and found[-1].command.endswith("\\") and not found[-1].expected:
            found[-1].command += "\n" + line.removeprefix("> ")
        elif found:
            found[-1].expected.append(line)
        elif line.strip():
            raise TourError(f"{line!r} stands before any command")
    return found


def matches(expected: list[str], printed: str) -> bool:
    """Whether the printed text is what the lines say."""
    while expected and not expected[-1].strip():
        expected = expected[:-1]
    pattern = ""
    for line in expected:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += r".*".join(re.escape(part.rstrip()) for part in line.split("...")) + r"[ \t]*\n"
    return re.fullmatch(pattern, printed.rstrip() + "\n" if printed.strip() else "") is not None


class Reader:
    """Somebody at a terminal: one shell for the whole page, and at most one server in another window."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.folder = folder
        self._log = folder / ".tour-server.log"
        self._server: int | None = None
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._say("set -m")

    def follow(self, block: Block) -> None:
        """Do what one block says; raises TourError where the result is another."""
        if "skip" in block.words:
            return
        if path := block.option("file"):
            self._place(path).write_text(block.text, encoding="utf-8")
        elif path := block.option("append"):
            with self._place(path).open("a", encoding="utf-8") as target:
                target.write(block.text)
        elif block.language == "console":
            todo = steps(block.text)
            for step in todo:
                if step.command == "^C":
                    self.stop_server()
                elif "server" in block.words and step is todo[-1]:
                    self._serve(step)
                else:
                    self._run(step)

    def _place(self, path: str) -> Path:
        _, here = self._say("pwd")
        target = Path(here.strip()) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _say(self, command: str) -> tuple[int, str]:
        """Give the shell a command; its exit code and what it printed."""
        pipe, end = self._shell.stdin, f"--tour-{os.getpid()}-end--"
        assert pipe is not None
        assert self._shell.stdout is not None
        pipe.write(f"{{ {command}\n}} </dev/null 2>&1; printf '\\n%s %d\\n' {end} $?\n")
        pipe.flush()
        printed: list[str] = []
        alarm = threading.Timer(COMMAND_SECONDS, lambda: _kill(_processes(SESSION, self._shell.pid)))
        alarm.start()
        try:
            for line in self._shell.stdout:
                if line.startswith(end):
                    return int(line.split()[1]), "".join(printed)[:-1]
                printed.append(line)
        finally:
            alarm.cancel()
            alarm.join()
        raise TourError(
            f"the shell ended, or was stopped after {COMMAND_SECONDS} s, in `{command}`:\n{''.join(printed)}"
        )

    def _run(self, step: Step) -> None:
        code, printed = self._say(step.command)
        if code != step.exit_code():
            raise TourError(f"`{step.command}` exits with {code}, not {step.exit_code()}:\n{printed}")
        if step.expected and not matches(step.expected, printed):
            wanted = "\n".join(step.expected)
            raise TourError(f"`{step.command}` should print\n{wanted}\nand prints\n{printed}")

    def _serve(self, step: Step) -> None:
        self.stop_server()
        self._log.write_text("")
        log = shlex.quote(str(self._log))
        _, printed = self._say(f"{{ {step.command}\n}} >{log} 2>&1 & echo $!")
        self._server = int(printed.split()[-1])
        deadline = time.monotonic() + SERVER_SECONDS
        while True:
            alive = _processes(GROUP, self._server)  # asked first: what it printed at its end is then all there
            said = self._log.read_text(encoding="utf-8", errors="replace")
            if any(matches(step.expected, said[:cut]) for cut in _line_ends(said)):
                return
            if time.monotonic() > deadline or not alive:
                _kill(alive)
                self._server = None
                wanted = "\n".join(step.expected)
                raise TourError(f"`{step.command}` should come to print\n{wanted}\nand printed\n{said}")
            time.sleep(0.05)

    def stop_server(self) -> None:
        """Press Ctrl-C in the server's window, and see that it ends."""
        if self._server is None:
            return
        server, self._server = self._server, None
        try:
            os.killpg(server, signal.SIGINT)
        except ProcessLookupError:
            raise TourError(f"the server had ended:\n{self._log.read_text(errors='replace')}") from None
        deadline = time.monotonic() + STOP_SECONDS
        while alive := _processes(GROUP, server):
            if time.monotonic() > deadline:
                _kill(alive)
                raise TourError(f"the server does not stop on Ctrl-C within {STOP_SECONDS} s")
            time.sleep(0.02)

    def close(self) -> None:
        """Leave: stop the server and the shell."""
        try:
            self.stop_server()
        finally:
            self._shell.communicate()
            _kill(_processes(SESSION, self._shell.pid))
            self._log.unlink(missing_ok=True)


def _line_ends(text: str) -> list[int]:
    return [0, *(found.end() for found in re.finditer("\n", text))]


def _processes(place: int, number: int) -> list[int]:
    """Live processes by a field of /proc/PID/stat after the name: 2 is the process group, 3 the session."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdecimal() else []
        except OSError:
            continue  # gone meanwhile
        if fields and fields[0] != "Z" and int(fields[place]) == number:
            found.append(int(entry.name))
    return found


def _kill(processes: list[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
