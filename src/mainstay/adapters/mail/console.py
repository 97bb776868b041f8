"""Letters on the terminal of a developer, who goes on with the code that is in them."""

from __future__ import annotations

import sys
from typing import TextIO

from mainstay.ports.mail import Letter, Mailer

_RULE = "-" * 72


class ConsoleMailer(Mailer):
    """Prints each letter to standard error, or where it is told to. For development only: it shows codes."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out

    async def send(self, letter: Letter) -> None:
        out = self._out or sys.stderr
        head = f"letter to {_plain(letter.to)}: {_plain(letter.subject)}"
        out.write(f"{_RULE}\n{head}\n\n{letter.text.rstrip()}\n{_RULE}\n")
        out.flush()


def _plain(text: str) -> str:
    """Return a text without what a terminal would obey."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)
