"""What every command that works on a project begins with: its settings, by the options that all commands have."""

from __future__ import annotations

from typing import Any

from mainstay.app.settings import Settings, SettingsRefused, examine, load
from mainstay.app.settings.sources import FILE


def settings_of(arguments: Any, *, strict: bool = True, secrets: bool = True, **flags: Any) -> Settings:
    """Load the settings of the project that the arguments name. ``flags`` are dotted keys written with ``__``.

    Not ``strict``, for a command that runs nothing: what is wrong is left to the commands that need it right, but for
    what hides the service itself. Such a command may do without ``secrets`` that are kept elsewhere, too.
    """
    named = {key.replace("__", "."): value for key, value in flags.items()}
    if strict:
        return load(arguments.directory, profile=arguments.profile, flags=named)
    settings, faults = examine(arguments.directory, profile=arguments.profile, flags=named, secrets=secrets)
    hiding = [fault for fault in faults if fault.key in _HIDING]
    if hiding:
        raise SettingsRefused(hiding, settings.profile)
    return settings


_HIDING = frozenset({FILE, "profile", "service", "path"})
"""What a service is not found without: the file itself, and the settings that name where its code is."""
