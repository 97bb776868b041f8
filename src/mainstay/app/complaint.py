"""Errors that a user can mend, in plain words: the same at the command line and from a worker."""

from __future__ import annotations

import os

from mainstay.app.refusal import Refusal
from mainstay.app.settings import SettingsRefused
from mainstay.model.faults import StartupFailed

MENDABLE = (SettingsRefused, StartupFailed, Refusal)
"""The errors of a start that a user can mend."""


def lines(error: BaseException) -> list[str] | None:
    """Return what is wrong and then, a line each, the details; None for an error that is not the user's."""
    if isinstance(error, SettingsRefused):
        many = len(error.faults)
        head = f"{many} {'setting is' if many == 1 else 'settings are'} wrong in the {error.profile} profile:"
        return [head, *map(str, error.faults)]
    if isinstance(error, StartupFailed):
        many = len(error.faults)
        head = f"the service cannot start, {many} {'thing is' if many == 1 else 'things are'} to be mended:"
        return [head, *map(str, error.faults)]
    if isinstance(error, Refusal):
        return [error.message, *error.remedies]
    if isinstance(error, PermissionError | FileNotFoundError) and error.filename:
        return [f"{error.filename}: {os.strerror(error.errno or 0)}"]
    return None


def text(error: BaseException) -> str | None:
    """Return the complaint as it is printed."""
    said = lines(error)
    return None if said is None else "\n  ".join([f"mainstay: {said[0]}", *said[1:]]) + "\n"
