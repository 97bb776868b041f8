"""Migrations, as starting a service needs them."""

from __future__ import annotations

from typing import Literal

from mainstay.app.assembly import Application
from mainstay.app.settings import Settings
from mainstay.model.service import Service


async def refuse_if_behind(application: Application) -> None:
    """Raise ``Refusal`` where the database lacks what the service needs."""


def describe(settings: Settings, service: Service) -> tuple[Literal["fine", "warning", "wrong"], str, str]:
    """Say how the database is: state, message, remedy."""
    return "fine", "", ""
