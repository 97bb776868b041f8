"""Both forms of the HTTP door over a service of a test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from http_clients import Mounted, Served
from service_sample import ServiceSample

from mainstay.inbound.http.options import HttpOptions
from mainstay.model.service import Service

Open = Callable[..., Any]


@pytest.fixture(params=["asyncio", "uvloop", "asgi"])
def serve(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Return a function that opens the door of a service, in each of its forms, with options."""
    opened: list[Any] = []

    def open_door(service: Service, **options: Any) -> Any:
        made, sample = HttpOptions(**options), ServiceSample(service)
        door: Any = Mounted(sample, made) if request.param == "asgi" else Served(sample, made, request.param)  # type: ignore[arg-type]  # it has what they need
        opened.append(door)
        return door

    yield open_door
    for one in opened:
        one.stop()


@pytest.fixture(params=["asyncio", "uvloop"])
def listen(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Return a function that opens the door of a service on a socket, with options."""
    opened: list[Served] = []

    def open_door(service: Service, **options: Any) -> Served:
        opened.append(Served(ServiceSample(service), HttpOptions(**options), request.param))  # type: ignore[arg-type]  # it has what it needs
        return opened[-1]

    yield open_door
    for one in opened:
        one.stop()
