"""Errors that a user can mend, in plain words. What is not known here is a fault of the program."""

from __future__ import annotations

import os

from mainstay.app.refusal import Refusal
from mainstay.app.settings import SettingsRefused
from mainstay.cli.console import Console
from mainstay.model.faults import StartupFailed


def complain(error: Exception, console: Console) -> bool:
    """Tell the user what is wrong; False where it is not the user's."""
    if isinstance(error, SettingsRefused):
        many = len(error.faults)
        console.complain(
            f"{many} {'setting is' if many == 1 else 'settings are'} wrong in the {error.profile} profile:"
        )
        for fault in error.faults:
            console.add(str(fault))
    elif isinstance(error, StartupFailed):
        many = len(error.faults)
        console.complain(f"the service cannot start, {many} {'thing is' if many == 1 else 'things are'} to be mended:")
        for start_fault in error.faults:
            console.add(str(start_fault))
    elif isinstance(error, Refusal):
        console.complain(error.message)
        for line in error.remedies:
            console.add(line)
    elif isinstance(error, PermissionError | FileNotFoundError) and error.filename:
        console.complain(f"{error.filename}: {os.strerror(error.errno or 0)}")
    else:
        return False
    return True
