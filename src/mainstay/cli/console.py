"""What a command prints: facts to standard output, as text or JSON; complaints to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal, TextIO

Form = Literal["text", "json"]


class Console:
    """The two streams of a command, and how facts are wanted."""

    def __init__(
        self, *, form: Form = "text", debug: bool = False, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        self.form: Form = form
        self.debug = debug
        self._out = out or sys.stdout
        self._err = err or sys.stderr

    @property
    def is_json(self) -> bool:
        """Whether a program reads."""
        return self.form == "json"

    def say(self, text: str = "") -> None:
        """Print a line for people."""
        self._out.write(f"{text}\n")

    def facts(self, facts: Any, text: Callable[[], str]) -> None:
        """Print facts: as a JSON value, or as the text that ``text`` makes of them."""
        if self.is_json:
            import msgspec

            self._out.write(
                msgspec.json.format(msgspec.json.encode(facts, order="deterministic"), indent=2).decode() + "\n"
            )
        else:
            self._out.write(text().rstrip("\n") + "\n")

    def complain(self, text: str) -> None:
        """Print a line to standard error."""
        self._err.write(f"mainstay: {text}\n")

    def flush(self) -> None:
        """Let everything out."""
        self._out.flush()
        self._err.flush()

    def can_ask(self) -> bool:
        """Whether a person is there to answer."""
        return sys.stdin.isatty() and self._out.isatty() and not os.environ.get("CI")

    def ask(self, question: str) -> bool:
        """Ask a person; only a clear yes is one."""
        self._out.write(f"{question} [y/N] ")
        self._out.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return columns of text under their heads."""
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (heads, *rows))
    return "\n".join(line.rstrip() for line in lines)
