"""Migrations, as starting a service needs them."""

from __future__ import annotations

from mainstay.app.assembly import Application


async def refuse_if_behind(application: Application) -> None:  # noqa: ARG001
    """Raise ``Refusal`` where the database lacks what the service needs."""
