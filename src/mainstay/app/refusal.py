"""What the assembly refuses to do, in plain words: for the person at the command line."""

from __future__ import annotations


class Refusal(Exception):
    """Something that a user can mend. ``message`` says what, ``remedies`` what to do."""

    def __init__(self, message: str, *remedies: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedies = remedies
