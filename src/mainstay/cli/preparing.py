"""What is done before a service is served: its database brought up to date, where the profile and the user allow it."""

from __future__ import annotations

from mainstay.app.settings import Settings
from mainstay.cli.console import Console


def prepare(settings: Settings, console: Console, *, module: str | None, demo: bool, reload: bool) -> None:
    """Migrate and seed as wanted. Raises ``Refusal`` where the database is behind and may not be migrated here."""
