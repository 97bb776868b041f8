"""The service as an ASGI 3 application, for other servers.

``granian --interface asgi --factory mainstay.app.asgi:create`` serves it. It is the same door.
What a supervisor of ours would see to is the other server's: workers, sockets, signals.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from mainstay.app.assembly import Application, assemble
from mainstay.app.doors import documents_for, make_doors
from mainstay.app.importing import import_service
from mainstay.app.migrating import migrations_of
from mainstay.app.observing import Observing, make_observing
from mainstay.app.settings import SettingFault, Settings, SettingsRefused, load
from mainstay.inbound.http.asgi import AsgiApp


def create(directory: Path | None = None) -> AsgiApp:
    """Return the service of a folder (the current one), to be started by the server's lifespan events.

    Raises what ``load``, ``import_service`` and ``assemble`` raise. Production refuses to guess whether the server has
    one process or several: ``limits.path`` names the table that all of them count in, ``limits.engine = "memory"`` says
    that there is one.
    """
    settings = load(directory)
    _check_limits(settings)
    observing = make_observing(settings)
    application = assemble(import_service(settings), settings, observer=observing.observer)
    return app_of(application, observing)


def app_of(application: Application, observing: Observing) -> AsgiApp:
    """Return an application as an ASGI application: its main door, which the settings may open to documents."""
    doors = make_doors(application, observing=observing, siblings=None, documents=documents_for(application))

    async def start() -> None:
        migrations = migrations_of(application.settings, application.bound.tables)
        if migrations is not None:
            await asyncio.to_thread(migrations.check)
        observing.listen(application.settings)
        await application.start()
        observing.watch(application)

    async def stop() -> None:
        await application.stop()
        observing.close()

    return AsgiApp(doors.main, start=start, stop=stop)


def _check_limits(settings: Settings) -> None:
    if settings.is_production and settings.limits.engine != "memory" and not settings.limits.path:
        fault = SettingFault(
            "limits.path",
            settings.source("limits.path"),
            "each process of an ASGI server would count for itself",
            'name a file that all share (MAINSTAY_LIMITS_PATH), or say limits.engine = "memory" for one process',
        )
        raise SettingsRefused([fault], settings.profile)
