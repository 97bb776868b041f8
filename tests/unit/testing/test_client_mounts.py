"""The test client serves mounted applications with the service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from mainstay import Module, Service
from mainstay.model.faults import StartupFailed
from mainstay.testing import Client


async def test_a_mounted_application_lives_with_the_client() -> None:
    lived: list[str] = []

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        lived.append("start")
        yield
        lived.append("stop")

    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"hello {request.query_params['name']}")

    service = Service("shop", modules=[Module("empty")])
    service.mount("/legacy", Starlette(routes=[Route("/hello", hello)], lifespan=lifespan))
    async with Client(service) as client:
        answer = await client.get("/legacy/hello", query={"name": "ann"})
        assert (answer.status, answer.body) == (200, b"hello ann")
        assert lived == ["start"]
    assert lived == ["start", "stop"]


def test_a_mount_that_is_wrong_is_told() -> None:
    service = Service("shop", modules=[Module("empty")])
    service.mount("legacy", object())
    with pytest.raises(StartupFailed, match="mounted at"):
        Client(service)
