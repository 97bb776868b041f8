"""Every setting with its environment variable, its value and its source, for who wants to see them all."""

from __future__ import annotations

from typing import Any

import msgspec

from mainstay.app.settings.model import Settings
from mainstay.app.settings.sources import variables
from mainstay.model.values import Secret
from mainstay.ports.secrets import LivingSecret


class Listed(msgspec.Struct, frozen=True):
    """One setting. A secret's value is not shown, only whether there is one."""

    key: str
    variable: str
    value: str
    source: str


def listing(settings: Settings) -> list[Listed]:
    """Return all settings that a variable can set, in the order of the sections, and the named secrets."""
    found = [
        Listed(key, variable, _shown(_value(settings, key)), settings.source(key))
        for variable, key in variables()
        if not _is_file(settings, key)
    ]
    secrets = (
        Listed(f"secrets.{name}", f"MAINSTAY_SECRET_{name.upper()}", _shown(secret), settings.source(f"secrets.{name}"))
        for name, secret in sorted(settings.secrets.items())
    )
    return [*found, *secrets]


def _value(settings: Settings, key: str) -> Any:
    value: Any = settings
    for part in key.split("."):
        value = getattr(value, part, None)
    return value


def _is_file(settings: Settings, key: str) -> bool:
    return key.endswith("_file") and isinstance(_value(settings, key.removesuffix("_file")), Secret)


def _shown(value: Any) -> str:
    if isinstance(value, Secret):
        if isinstance(value, LivingSecret):
            return f"*** ({value.reference})"
        return "***" if value.reveal() else "(not set)"
    if isinstance(value, list):
        return ", ".join(_shown(item) if isinstance(item, Secret) else str(item) for item in value) or "(none)"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "(not set)" if value in (None, "") else str(value)
