"""What every command that works on a project begins with: its settings, by the options that all commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainstay.app.settings import Settings, examine, load


def settings_of(arguments: Any, *, strict: bool = True, **flags: Any) -> Settings:
    """Load the settings of the project that the arguments name. ``flags`` are dotted keys written with ``__``.

    Not ``strict``, for a command that runs nothing: what is wrong is left to the commands that need it right.
    """
    named = {key.replace("__", "."): value for key, value in flags.items()}
    loading = load if strict else _examine
    return loading(arguments.directory, profile=arguments.profile, flags=named)


def _examine(directory: Path | None, **named: Any) -> Settings:
    return examine(directory, **named)[0]
