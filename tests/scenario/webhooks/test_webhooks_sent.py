"""Webhooks as they are sent: to real receivers on this machine, slow and dead ones beside good ones, and in a flood."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from answering_server import AnsweringServer, Asked, answering, reply
from assembled import Assembled, assembled
from webhook_shop import bearer, is_signed, said, shop, toml

from mainstay.webhooks import lanes, sender

PATIENCE = 60.0
ANN = UUID(int=1001)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.02)


def taken(_: Asked) -> bytes:
    return reply(b"", 204)


class Shop:
    """A running shop, and receivers beside it."""

    def __init__(self, running: Assembled, stack: AsyncExitStack) -> None:
        self.running = running
        self._stack = stack

    async def receiver(self, answer: Callable[[Asked], bytes] = taken) -> AnsweringServer:
        return await self._stack.enter_async_context(answering(answer))

    async def call(self, method: str, path: str, json: Any = None) -> Any:
        got = await self.running.http.request(method, path, json=json, headers=bearer(ANN))
        assert got.status_code < 300, got.text
        return got.json() if got.content else None

    async def register(self, port: int, host: str = "127.0.0.1") -> Any:
        return await self.call("POST", "/webhooks/endpoints", {"url": f"http://{host}:{port}/hook"})

    async def order(self, count: int = 1) -> None:
        for _ in range(count):
            await self.call("POST", "/orders", {"customer_id": str(ANN)})

    async def deliveries(self, **query: str) -> list[dict[str, Any]]:
        asked = "&".join(f"{name}={value}" for name, value in {"limit": "200", **query}.items())
        items: list[dict[str, Any]] = (await self.call("GET", f"/webhooks/deliveries?{asked}"))["items"]
        return items

    async def settled(self, **query: str) -> list[dict[str, Any]]:
        """Return the deliveries once none is at its first attempt any more."""
        async with asyncio.timeout(PATIENCE):
            while not (found := await self.deliveries(**query)) or any(
                one["state"] == "pending" and not one["attempts"] for one in found
            ):
                await asyncio.sleep(0.05)
        return found


@asynccontextmanager
async def opened(folder: Path, more: str = "", **said_of_it: Any) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(assembled(shop(**said_of_it), folder, toml(more)))
        yield Shop(running, stack)


async def test_a_receiver_gets_what_it_can_check(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop_:
        receiver = await shop_.receiver()
        made = await shop_.register(receiver.port)
        await shop_.order()
        await until(lambda: bool(receiver.asked))
        (asked,) = receiver.asked
        assert (asked.method, asked.target) == ("POST", "/hook")
        assert is_signed(made["secret"], asked.headers, asked.body)
        assert asked.headers["user-agent"].startswith("shop/")
        assert said(asked.body)["data"]["customer_id"] == str(ANN)
        (delivery,) = await shop_.settled()
        assert delivery["message_id"] == asked.headers["webhook-id"]


async def test_slow_and_dead_endpoints_delay_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path, timeout_seconds=300.0) as shop_:
        good, slow = await shop_.receiver(), await shop_.receiver()
        slow.hold = asyncio.Event()
        with closing(socket.socket()) as dead:
            dead.bind(("127.0.0.1", 0))
            await shop_.register(dead.getsockname()[1])
            await shop_.register(slow.port)
            await shop_.register(good.port)
            await shop_.order(30)
            await until(lambda: len(good.asked) == 30)
        assert slow.most <= lanes.WIDTH
        assert len(slow.asked) <= lanes.WIDTH
        slow.hold.set()
        await until(lambda: len({asked.headers["webhook-id"] for asked in slow.asked}) == 30)


async def test_a_flood_for_one_endpoint_is_bounded_and_arrives_whole(tmp_path: Path) -> None:
    async with opened(tmp_path, timeout_seconds=300.0) as shop_:
        flooded, other = await shop_.receiver(), await shop_.receiver()
        one = await shop_.register(flooded.port)
        flooded.hold = asyncio.Event()
        await shop_.order(150)
        await shop_.register(other.port)
        await shop_.order()
        # Of earlier orders too, where their telling came behind its registration.
        await until(lambda: bool(other.asked))
        assert flooded.most <= lanes.WIDTH
        flooded.hold.set()
        await until(lambda: len({asked.headers["webhook-id"] for asked in flooded.asked}) == 151)
        assert flooded.most <= lanes.WIDTH
        assert {d["state"] for d in await shop_.settled(endpoint_id=one["id"])} == {"delivered"}


async def test_an_attempt_ends_in_its_time(tmp_path: Path) -> None:
    async with opened(tmp_path, timeout_seconds=0.3) as shop_:
        receiver = await shop_.receiver()
        receiver.hold = asyncio.Event()
        await shop_.register(receiver.port)
        await shop_.order()
        (delivery,) = await shop_.settled()
        assert (delivery["state"], delivery["last_cause"]) == ("pending", "no_answer")
        receiver.hold.set()


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop_:
        elsewhere = await shop_.receiver()
        first = await shop_.receiver(lambda _: reply(b"", 307, location=f"http://127.0.0.1:{elsewhere.port}/"))
        await shop_.register(first.port)
        await shop_.order()
        (delivery,) = await shop_.settled()
        assert (delivery["last_status"], delivery["last_cause"]) == (307, "refused")
        assert not elsewhere.connections


async def test_an_answer_that_is_too_long_is_none(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop_:
        receiver = await shop_.receiver(lambda _: reply(b"x" * (sender.MAX_ANSWER + 1)))
        await shop_.register(receiver.port)
        await shop_.order()
        (delivery,) = await shop_.settled()
        assert (delivery["last_status"], delivery["last_cause"]) == (None, "no_answer")


async def test_who_is_gone_is_disabled_through_the_pipeline(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop_:
        receiver = await shop_.receiver(lambda _: reply(b"", 410))
        made = await shop_.register(receiver.port)
        await shop_.order()
        await until(lambda: any(call.operation == "note" for call in shop_.running.ear.calls))
        shown = await shop_.call("GET", f"/webhooks/endpoints/{made['id']}")
        assert shown["disabled_reason"] == "gone"
        by = [call for call in shop_.running.ear.calls if call.operation == "disable_webhook_endpoint"]
        assert [(call.protocol, call.principal.is_system, call.code) for call in by] == [("webhooks", True, None)]


async def test_what_was_due_when_the_service_ended_is_sent_by_the_next(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(answering(taken))
        receiver.hold = asyncio.Event()
        async with opened(tmp_path, timeout_seconds=30.0) as first:
            await first.register(receiver.port)
            await first.order(3)
            await until(lambda: len(receiver.asked) == 3)
        receiver.hold.set()
        async with opened(tmp_path, timeout_seconds=30.0) as second:
            found = await second.settled()
            assert [one["state"] for one in found] == ["delivered"] * 3
        ids = [asked.headers["webhook-id"] for asked in receiver.asked]
        assert len(set(ids)) == 3
        assert len(ids) == 6
