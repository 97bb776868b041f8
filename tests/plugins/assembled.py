"""A service put together as in production, from settings, and called in this process through its ASGI door."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from kernel_world import Ear

from mainstay import Service
from mainstay.app.assembly import Application, assemble
from mainstay.app.doors import documents_for, make_doors
from mainstay.app.observing import make_observing
from mainstay.app.settings import load
from mainstay.inbound.http.asgi import AsgiApp
from mainstay.kernel.bound import Ports
from mainstay.kernel.providers import Resolver


class Assembled:
    """The running application, who listens to it, and the transport by which a client reaches it."""

    def __init__(self, application: Application, ear: Ear, transport: httpx2.ASGITransport) -> None:
        self.application = application
        self.ear = ear
        self.transport = transport
        self.http = httpx2.AsyncClient(transport=transport, base_url="https://shop.example")


@asynccontextmanager
async def assembled(
    service: Service,
    folder: Path,
    toml: str,
    *,
    known: Mapping[Any, Any] | None = None,
    adapt: Callable[[Ports], Ports] | None = None,
) -> AsyncIterator[Assembled]:
    """Run a service by the settings of a text; ``known`` are values that use cases ask for by type."""
    (folder / "mainstay.toml").write_text(toml)
    settings = load(folder, environ={}, profile="test")
    ear, observing = Ear(), make_observing(settings)
    at_hand = {type_: Resolver(make=_always(value), shared=True) for type_, value in (known or {}).items()}
    application = assemble(service, settings, observer=ear, known=at_hand, adapt=adapt)
    async with application:
        doors = make_doors(application, observing=observing, siblings=None, documents=documents_for(application))
        made = Assembled(application, ear, httpx2.ASGITransport(AsgiApp(doors.main)))
        async with made.http:
            yield made
    observing.close()


def _always(value: Any) -> Callable[[Any], Any]:
    return lambda _scope: value
