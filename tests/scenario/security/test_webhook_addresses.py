"""Addresses of customers: whatever they register, no webhook reaches what is inside, and nothing is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest
from answering_server import Last, answering, reply
from assembled import assembled
from webhook_shop import KEY, bearer, shop

from mainstay.adapters.outgoing import guard
from mainstay.ports.observer import OutgoingEnded

ANN = UUID(int=1001)
PATIENCE = 60.0
CLOSED = f"""[database]
url = "sqlite:///shop.sqlite"
create = true
[auth]
key = "{KEY}"
issuer = "https://issuer.example"
audience = "shop"
"""
INSIDE = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://0.0.0.0:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://metadata.example/latest/meta-data/",
    "http://10.0.0.1/",
    "http://inner.example/",
    "http://rebound.example/",
]
UNREADABLE = [
    "http://2130706433:{port}/",
    "http://0x7f.1:{port}/",
    "http://user@127.0.0.1:{port}/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_x",
]
NAMES = {
    "metadata.example": ["169.254.169.254"],
    "inner.example": ["10.1.2.3"],
    "rebound.example": ["93.184.216.34", "127.0.0.1"],
}


async def _resolver(name: str) -> Sequence[str]:
    return NAMES.get(name) or ["127.0.0.1", "::1"]


@pytest.mark.parametrize("url", INSIDE)
async def test_no_endpoint_leads_inside(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "system_resolver", _resolver)
    async with answering(lambda _: reply(b"inside")) as inside, assembled(shop(), tmp_path, CLOSED) as running:
        body = {"url": url.format(port=inside.port)}
        made = await running.http.post("/webhooks/endpoints", json=body, headers=bearer(ANN))
        assert made.status_code == 201, made.text
        tried = await running.http.post(f"/webhooks/endpoints/{made.json()['id']}/test", headers=bearer(ANN))
        path = f"/webhooks/deliveries/{tried.json()['id']}"
        async with asyncio.timeout(PATIENCE):
            while not (got := (await running.http.get(path, headers=bearer(ANN))).json())["attempts"]:
                await asyncio.sleep(0.02)
        assert (got["last_status"], got["last_cause"]) == (None, "no_answer")
        attempts = (await running.http.get(f"{path}/attempts", headers=bearer(ANN))).text
        assert inside.connections == 0
    assert "inside" not in attempts
    assert "refused" not in attempts
    told = [one for one in running.ear.heard if isinstance(one, OutgoingEnded)]
    assert [one.code for one in told] == ["address_refused"]


@pytest.mark.parametrize("url", UNREADABLE)
async def test_what_can_be_read_in_two_ways_is_no_endpoint(url: str, tmp_path: Path) -> None:
    async with assembled(shop(), tmp_path, CLOSED) as running:
        body = {"url": url.format(port=80)}
        made = await running.http.post("/webhooks/endpoints", json=body, headers=bearer(ANN))
        assert (made.status_code, made.json()["faults"][0]["pointer"]) == (422, "/url")


async def test_a_name_that_leads_inside_later_is_refused_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that says something else each time: what is judged is what is connected to, at each attempt."""
    told = {"turning.example": ["127.0.0.2"]}

    async def resolver(name: str) -> Sequence[str]:
        return told[name]

    monkeypatch.setattr(guard, "system_resolver", resolver)
    async with answering(lambda _: Last(reply(b"", 204, connection="close")), host="127.0.0.2") as outside:
        more = f'[outgoing]\nallow = ["127.0.0.2:{outside.port}"]\n'
        async with assembled(shop(), tmp_path, CLOSED + more) as running:
            body = {"url": f"http://turning.example:{outside.port}/"}
            made = await running.http.post("/webhooks/endpoints", json=body, headers=bearer(ANN))
            path = f"/webhooks/endpoints/{made.json()['id']}/test"
            for status in (204, None):
                tried = await running.http.post(path, headers=bearer(ANN))
                at = f"/webhooks/deliveries/{tried.json()['id']}"
                async with asyncio.timeout(PATIENCE):
                    while not (got := (await running.http.get(at, headers=bearer(ANN))).json())["attempts"]:
                        await asyncio.sleep(0.02)
                assert got["last_status"] == status
                told["turning.example"] = ["127.0.0.1"]
