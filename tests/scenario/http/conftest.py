"""Both forms of the HTTP door over one sample service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from http_clients import Foreign, Mounted, Served
from http_sample import Sample

from mainstay.inbound.http.options import HttpOptions

FORMS: dict[str, Any] = {
    "asgi": lambda sample, options, _: Mounted(sample, options),
    "uvicorn": Foreign,
    "granian": Foreign,
}


@pytest.fixture
def sample() -> Sample:
    """The service behind the door."""
    return Sample()


@pytest.fixture(params=["asyncio", "uvloop", "asgi", "uvicorn", "granian"])
def door(request: pytest.FixtureRequest, sample: Sample) -> Iterator[Callable[..., Any]]:
    """Return a function that opens the door, in each of its forms, with options."""
    opened: list[Any] = []

    def open_door(**options: Any) -> Any:
        made = HttpOptions(**options)
        opened.append(FORMS.get(request.param, Served)(sample, made, request.param))
        return opened[-1]

    yield open_door
    for one in opened:
        one.stop()


@pytest.fixture
def ask(door: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that sends one request to the door with its usual options."""
    return door().ask  # type: ignore[no-any-return]  # a client's


@pytest.fixture(params=["asyncio", "uvloop"])
def serve(request: pytest.FixtureRequest, sample: Sample) -> Iterator[Callable[..., Served]]:
    """Return a function that opens the door on a socket, with options."""
    opened: list[Served] = []

    def open_door(**options: Any) -> Served:
        opened.append(FORMS.get(request.param, Served)(sample, HttpOptions(**options), request.param))
        return opened[-1]

    yield open_door
    for one in opened:
        one.stop()
