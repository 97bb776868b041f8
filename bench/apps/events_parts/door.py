"""The producer of the peers: a call commits a row and its event, and a loop beside it relays the outbox.

Starlette, asyncpg with a pool that resets nothing, uvloop: the quickest that their users put together. ``relay`` hands
a batch on and returns once the broker has confirmed all of it; only then it leaves the outbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime

import asyncpg
import orjson
from pydantic import ValidationError
from shared import CONNECTIONS, DATABASE, PLAIN, SHOP, OrderPlaced, PlaceOrder, log
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uuid_utils.compat import uuid7

Message = tuple[uuid.UUID, str]
Relay = Callable[[Sequence[Message]], Awaitable[None]]

_BATCH = 256
_POLL = 0.25
_PLACE = "INSERT INTO orders VALUES ($1, 1, $2, $2, $3, $4, $5, $6)"
_EMIT = "INSERT INTO outbox (id, created_at, payload) VALUES ($1, $2, $3)"
_WAITING = f"SELECT id, payload FROM outbox ORDER BY created_at, id LIMIT {_BATCH}"
_GONE = "DELETE FROM outbox WHERE id = ANY($1)"


async def _leave(_connection: asyncpg.Connection) -> None:
    """Reset nothing."""


class Door:
    """The application and its relay."""

    def __init__(self, relay: Relay, opened: Callable[[], contextlib.AbstractAsyncContextManager[None]]) -> None:
        self._relay = relay
        self._opened = opened
        self._woken = asyncio.Event()
        routes = [Route("/hello", self.hello), Route("/orders", self.place, methods=["POST"])]
        self.application = Starlette(routes=routes, lifespan=self._life)

    @contextlib.asynccontextmanager
    async def _life(self, _application: Starlette) -> AsyncIterator[None]:
        self._pool = await asyncpg.create_pool(DATABASE, min_size=CONNECTIONS, max_size=CONNECTIONS, reset=_leave)
        await self._pool.execute(SHOP)
        async with self._opened():
            task = asyncio.create_task(self._run())
            yield
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._pool.close()

    async def hello(self, _request: Request) -> Response:
        return Response(b'{"message":"hello"}', media_type="application/json")

    async def place(self, request: Request) -> Response:
        began = time.perf_counter()
        try:
            wanted = PlaceOrder.model_validate_json(await request.body())
        except ValidationError as error:
            return Response(error.json(), 422, media_type="application/json")
        now, order = datetime.now(UTC), uuid7()
        told = OrderPlaced(event_id=uuid7(), order_id=order, **wanted.model_dump())
        payload = told.model_dump_json()
        async with self._pool.acquire() as connection, connection.transaction():
            row = (order, now, wanted.sku, wanted.customer_id, wanted.quantity, wanted.total)
            await connection.execute(_PLACE, *row)
            if not PLAIN:
                await connection.execute(_EMIT, told.event_id, now, payload)
        if PLAIN:
            await self._relay([(told.event_id, payload)])
        self._woken.set()
        seconds = time.perf_counter() - began
        log("call", request_id=uuid.uuid4().hex, path="/orders", status=201, seconds=seconds)
        body = wanted.model_dump(mode="json") | {"id": order, "created_at": now}
        return Response(orjson.dumps(body, default=str), 201, media_type="application/json")

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                while rows := await self._pool.fetch(_WAITING):
                    await self._relay([(row[0], row[1]) for row in rows])
                    await self._pool.execute(_GONE, [row[0] for row in rows])
            except Exception as error:  # the broker is away: it is tried again
                log("relay_waits", cause=repr(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL):
                    await self._woken.wait()


@contextlib.asynccontextmanager
async def nothing() -> AsyncIterator[None]:
    """Open nothing."""
    yield
