"""What every command that works on a project begins with: its settings, by the options that all commands have."""

from __future__ import annotations

from typing import Any

from mainstay.app.settings import Settings, load


def settings_of(arguments: Any, **flags: Any) -> Settings:
    """Load the settings of the project that the arguments name. ``flags`` are dotted keys written with ``__``."""
    named = {key.replace("__", "."): value for key, value in flags.items()}
    return load(arguments.directory, profile=arguments.profile, flags=named)
