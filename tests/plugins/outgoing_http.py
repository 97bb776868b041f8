"""Calls to the outside for tests: a small client that reaches this machine only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import httpx2
import pytest

from mainstay.ports.http import HttpAnswer, HttpClient, HttpFailed


class LoopbackHttp(HttpClient):
    """The port over a connection pool, without any of the guards of a real one: tests fail where they go elsewhere."""

    def __init__(self) -> None:
        self._http = httpx2.AsyncClient(trust_env=False)
        self.asked: list[str] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        seconds: float = 10.0,
        max_body: int = 1024 * 1024,
        redirects: int = 0,
    ) -> HttpAnswer:
        self.asked.append(url)
        try:
            got = await self._http.request(method, url, headers=dict(headers or {}), content=body, timeout=seconds)
        except httpx2.HTTPError as error:
            raise HttpFailed from error
        if len(got.content) > max_body:
            raise HttpFailed
        return HttpAnswer(status=got.status_code, headers=dict(got.headers.items()), body=got.content)

    async def close(self) -> None:
        await self._http.aclose()


@pytest.fixture
async def outgoing() -> AsyncIterator[LoopbackHttp]:
    client = LoopbackHttp()
    yield client
    await client.close()
