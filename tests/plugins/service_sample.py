"""A declared service behind either form of the HTTP door, on memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

from mainstay.adapters.local.clock import SystemClock
from mainstay.inbound.http.door import Door
from mainstay.inbound.http.options import HttpOptions
from mainstay.kernel.dispatch import dispatch
from mainstay.model.service import Service
from mainstay.testing import Client


class ServiceSample:
    """What ``http_clients`` serves: a service whose rows are those of its ``client``."""

    def __init__(self, service: Service, *, replace: Mapping[Any, Any] | None = None) -> None:
        self.client = Client(service, replace=replace, raise_errors=False)
        self.clock = SystemClock()
        self.gate = threading.Event()
        asyncio.run(self._start())

    async def _start(self) -> None:
        bound = self.client.bound
        await bound.ports.store.start(bound.tables)
        await bound.providers.start()

    def door(self, options: HttpOptions) -> Door:
        """Return the door of the service."""
        bound = self.client.bound
        ports = bound.ports
        served = [one for one in bound.operations if one.operation.method]
        return Door(served, dispatch, ids=ports.ids, clock=self.clock, observer=ports.observer, options=options)
