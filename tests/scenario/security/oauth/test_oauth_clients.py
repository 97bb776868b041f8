"""Who registers clients, what a client may be, and what becomes of one that is revoked."""

from __future__ import annotations

from typing import Any

import pytest
from oauth_world import ADMIN, BACK, OAuthWorld, of_account, refused

from mainstay.identity.oauth.entities import RegisteredClient
from mainstay.testing import as_principal

NEW: dict[str, Any] = {"name": "Tracker", "redirect_uris": [BACK], "scopes": ["openid"]}


async def test_only_administrators_register_look_and_revoke(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    for who, status in ((None, 401), (as_principal("max", roles="manager"), 403), (of_account(ann), 403)):
        assert (await world.client.post("/auth/oauth/clients", who=who, json=NEW)).status == status
        assert (await world.client.get("/auth/oauth/clients", who=who)).status == status
        assert (await world.client.delete(f"/auth/oauth/clients/{client.id}", who=who)).status == status
    assert len(await world.client.stored(RegisteredClient)) == 1


async def test_a_secret_is_shown_once(world: OAuthWorld) -> None:
    client = await world.register()
    assert client.secret is not None
    assert len(client.secret) >= 43
    listed = await world.client.get("/auth/oauth/clients", who=ADMIN)
    (shown,) = listed.json["items"]
    assert (shown["id"], shown["name"], shown["confidential"]) == (client.id, "Parcel tracker", True)
    assert "secret" not in shown
    assert client.secret not in listed.body.decode()
    assert await world.kinds() == ["oauth.client_created"]
    assert not any(client.secret in str(event) for event in await world.noted())


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"redirect_uris": ["http://client.example/back"]}, "/redirect_uris/0"),
        ({"redirect_uris": [BACK, "https://client.example/#x"]}, "/redirect_uris/1"),
        ({"redirect_uris": ["https://*.client.example/back"]}, "/redirect_uris/0"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "/redirect_uris/0"),
        ({"redirect_uris": ["https://me@client.example/"]}, "/redirect_uris/0"),
        ({"redirect_uris": ["https://client.example/a/../b"]}, "/redirect_uris/0"),
        ({"redirect_uris": []}, "/redirect_uris"),
        ({"grants": ["client_credentials"]}, "/redirect_uris"),
        ({"grants": ["refresh_token"], "redirect_uris": []}, "/grants"),
        ({"grants": [], "redirect_uris": []}, "/grants"),
        ({"grants": ["authorization_code", "password"]}, "/grants/1"),
        ({"scopes": ["openid", "admin"]}, "/scopes/1"),
        ({"confidential": False, "grants": ["client_credentials"], "redirect_uris": []}, "/confidential"),
        ({"confidential": False, "introspects": True}, "/confidential"),
        ({"name": ""}, "/name"),
        ({"secret": "chosen by hand"}, "/secret"),
        ({"id": "0199c0de-0000-7000-8000-00000000000a"}, "/id"),
    ],
)
async def test_a_client_that_makes_no_sense_is_refused_with_its_fault(
    world: OAuthWorld, changes: dict[str, Any], pointer: str | None
) -> None:
    answer = await world.client.post("/auth/oauth/clients", who=ADMIN, json={**NEW, **changes})
    assert answer.status == 422
    if pointer is not None:
        assert pointer in [fault["pointer"] for fault in answer.json["faults"]]
    assert await world.client.stored(RegisteredClient) == []


async def test_a_client_that_is_revoked_and_all_that_it_was_given_end(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    tokens = await world.tokens(client, ann)
    code = await world.code(client, ann)
    path = f"/auth/oauth/clients/{client.id}"
    assert (await world.client.delete(path, who=ADMIN)).status == 204
    assert (await world.client.delete(path, who=ADMIN)).status == 404
    for answer in (await world.redeem(client, code), await world.refresh(client, tokens["refresh_token"])):
        assert refused(answer, 401) == "invalid_client"
    assert (await world.client.get("/auth/oauth/consents", who=of_account(ann))).json == []
    assert (await world.get("/parcels-for-clients", tokens["access_token"])).status == 401
    assert "oauth.client_revoked" in await world.kinds()


async def test_the_token_of_a_machine_ends_with_the_machine(world: OAuthWorld) -> None:
    machine = await world.register(grants=["client_credentials"], redirect_uris=[], scopes=["orders:read"])
    token = (await world.form("token", {"grant_type": "client_credentials"}, machine)).json["access_token"]
    assert (await world.get("/parcels-for-clients", token)).status == 200
    assert (await world.client.delete(f"/auth/oauth/clients/{machine.id}", who=ADMIN)).status == 204
    answer = await world.get("/parcels-for-clients", token)
    assert (answer.status, answer.code) == (401, "token_revoked")


async def test_an_unknown_client_cannot_be_revoked(world: OAuthWorld) -> None:
    path = "/auth/oauth/clients/0199c0de-0000-7000-8000-00000000000a"
    assert (await world.client.delete(path, who=ADMIN)).status == 404
