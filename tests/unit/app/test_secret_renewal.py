"""Secrets that change while the service runs: taken by who holds them, or left as they were, and said so."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mainstay import Entity, Module, Principal, Repository, Service, anyone, authenticated, field
from mainstay.app.assembly import Application, assemble
from mainstay.app.credentials import development_token
from mainstay.app.database_urls import current_urls, same_server
from mainstay.app.settings import Settings, load, references
from mainstay.model.problem import Unauthenticated
from mainstay.ports.secrets import SecretDocument, SecretSource, SecretUnreadable
from mainstay.testing.recorder import Recorder

FIRST = "first-Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU"
SECOND = "second-Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAe"
THIRD = "third-Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeUx"
SETTINGS = """
[auth]
key = "file://auth"
issuer = "i"
audience = ["a"]
[sealing]
secret_file = "seal"
[secrets]
bank = "file://bank"
"""


class Thing(Entity):
    name: str = field(max_length=20)


def service_of() -> Service:
    desk = Module("desk")
    desk.entity(Thing)

    @desk.query("GET /count", allow=authenticated)
    async def count(things: Repository[Thing]) -> int:
        return await things.count()

    @desk.query("GET /open", allow=anyone)
    async def open_to_all() -> int:
        return 1

    return Service("desk", modules=[desk])


class Running:
    """A service whose secrets are files, and what it told."""

    def __init__(self, folder: Path, toml: str = SETTINGS, **flags: Any) -> None:
        self.folder = folder
        (folder / "mainstay.toml").write_text(toml)
        for name in ("auth", "seal", "bank"):
            self.write(name, FIRST)
        self.recorder = Recorder()
        self.settings = load(folder, profile="test", environ={}, flags=flags)
        self.application: Application = assemble(service_of(), self.settings, observer=self.recorder)

    def write(self, name: str, value: str) -> None:
        """Replace a file at once, as who rotates secrets does."""
        draft = self.folder / f".{name}"
        draft.write_text(value)
        os.replace(draft, self.folder / name)

    async def renew(self) -> None:
        assert self.application.renewal is not None
        await self.application.renewal.renew()

    def token(self) -> bytes:
        made = load(self.folder, profile="test", environ={})
        return development_token(made, now=self.application.ports.clock.time(), subject="ann").encode()

    def verify(self, token: bytes) -> Principal:
        assert self.application.ports.tokens is not None
        found = self.application.ports.tokens.verify(token)
        assert isinstance(found, Principal)
        return found

    def told(self, event: str) -> list[str]:
        return [notice.message for notice in self.recorder.notices if notice.event == event]


async def test_a_key_of_tokens_is_another_at_once(tmp_path: Path) -> None:
    running = Running(tmp_path)
    old = running.token()
    assert running.verify(old).subject == "ann"
    running.write("auth", SECOND)
    assert running.verify(old).subject == "ann"
    await running.renew()
    with pytest.raises(Unauthenticated):
        running.verify(old)  # though it was remembered
    assert running.verify(running.token()).subject == "ann"
    assert running.told("secret_renewed") == ["auth.key has changed at file://auth, and the new value counts"]


async def test_what_was_sealed_before_the_last_change_still_opens(tmp_path: Path) -> None:
    running = Running(tmp_path)
    sealer = running.application.ports.sealer
    texts = [sealer.seal(b"x", b"c")]
    for secret in (SECOND, THIRD):
        running.write("seal", secret)
        await running.renew()
        texts.append(sealer.seal(b"x", b"c"))
    assert [sealer.open(text, b"c") for text in texts] == [None, b"x", b"x"]
    fresh = assemble(service_of(), load(tmp_path, profile="test", environ={}), observer=Recorder()).ports.sealer
    assert fresh.open(texts[2], b"c") == b"x"


async def test_who_asks_each_time_has_the_value_of_each_time(tmp_path: Path) -> None:
    running = Running(tmp_path)
    running.write("bank", SECOND)
    await running.renew()
    assert running.settings.secrets["bank"].reveal() == SECOND


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("auth", "short", "HS256 needs at least 32"),
        ("auth", "-----BEGIN PRIVATE KEY-----\nnone", "the PEM text holds no key"),
        ("seal", "short", "at least 32 bytes are needed"),
        ("bank", "", "it is empty"),
        ("bank", None, "cannot be read: No such file"),
    ],
)
async def test_a_value_that_is_no_use_is_not_taken(name: str, value: str | None, says: str, tmp_path: Path) -> None:
    running = Running(tmp_path)
    old, sealed = running.token(), running.application.ports.sealer.seal(b"x", b"c")
    if value is None:
        (tmp_path / name).unlink()
    else:
        running.write(name, value)
    for _ in range(3):
        await running.renew()
    assert running.verify(old).subject == "ann"
    assert running.application.ports.sealer.open(sealed, b"c") == b"x"
    assert running.settings.secrets["bank"].reveal() == FIRST
    (told,) = running.told("secret_not_renewed")
    assert says in told
    assert told.endswith("the value of before counts on")
    assert FIRST not in told
    async with running.application:
        checks = {check.name: check for check in running.application.ready().checks}
        assert (checks["secrets"].state, running.application.ready().ready) == ("degraded", True)
        running.write(name, SECOND)
        await running.renew()
        assert "secrets" not in {check.name for check in running.application.ready().checks}
    assert len(running.told("secret_renewed")) == 1


async def test_a_value_that_is_back_is_nothing_new(tmp_path: Path) -> None:
    running = Running(tmp_path)
    (tmp_path / "bank").unlink()
    await running.renew()
    running.write("bank", FIRST)
    await running.renew()
    assert running.application.renewal is not None
    assert running.application.renewal.failing == {}
    assert running.told("secret_renewed") == []


async def test_they_are_looked_up_again_while_the_service_runs(tmp_path: Path) -> None:
    running = Running(tmp_path, **{"secrets_from.refresh_seconds": 0.05})
    async with running.application:
        running.write("bank", SECOND)
        async with asyncio.timeout(10):
            while running.settings.secrets["bank"].reveal() != SECOND:
                await asyncio.sleep(0.01)
        names = [task.get_name() for task in asyncio.all_tasks()]
        assert "mainstay-secrets" in names
    assert "mainstay-secrets" not in [task.get_name() for task in asyncio.all_tasks()]


@pytest.mark.parametrize(("toml", "seconds"), [(SETTINGS, 0.0), ('secrets.bank = "env://BANK"', 0.05)])
async def test_nothing_is_looked_up_where_nothing_may_change(toml: str, seconds: float, tmp_path: Path) -> None:
    (tmp_path / "mainstay.toml").write_text(toml)
    for name in ("auth", "seal", "bank"):
        (tmp_path / name).write_text(FIRST)
    flags = {"secrets_from.refresh_seconds": seconds, "auth.issuer": "i", "auth.audience": ["a"]}
    settings = load(tmp_path, profile="test", environ={"BANK": FIRST}, flags=flags)
    async with assemble(service_of(), settings, observer=Recorder()):
        assert "mainstay-secrets" not in [task.get_name() for task in asyncio.all_tasks()]


def test_a_service_without_references_has_nothing_to_renew(tmp_path: Path) -> None:
    settings = load(tmp_path, profile="test", environ={})
    assert assemble(service_of(), settings, observer=Recorder()).renewal is None


class Lending(SecretSource):
    """A place that lends secrets for a short time, another one each time."""

    def __init__(self) -> None:
        self.lent = 0
        self.closed = False

    def read(self, path: str) -> SecretDocument:
        self.lent += 1
        if path == "kv/none":
            raise SecretUnreadable("there is nothing")
        return SecretDocument(members={"key": f"{FIRST}{self.lent}"}, seconds=2.0)

    def close(self) -> None:
        self.closed = True


async def test_what_is_lent_is_looked_up_at_half_of_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lending, waits = Lending(), []
    monkeypatch.setattr(references, "find", lambda _kind, _name: lambda *_: lending)
    (tmp_path / "mainstay.toml").write_text('secrets.bank = "vault://kv/bank#key"')
    settings = load(tmp_path, profile="test", environ={})
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) > 3:
            await real(60)

    application = assemble(service_of(), settings, observer=Recorder())
    async with application:
        monkeypatch.setattr("mainstay.app.renewing.asyncio.sleep", sleep)
        async with asyncio.timeout(10):
            while len(waits) < 4:
                await real(0.01)
        monkeypatch.undo()
    assert waits[-1] == 1.0
    assert settings.secrets["bank"].reveal() == f"{FIRST}{lending.lent}"
    assert lending.closed


def urls(folder: Path, values: Mapping[str, str]) -> Settings:
    for name, value in values.items():
        (folder / name).write_text(value)
    toml = "[database]\n" + "\n".join(f'{name} = "file://{name}"' for name in values)
    (folder / "mainstay.toml").write_text(toml)
    return load(folder, profile="test", environ={})


def test_the_password_of_a_database_may_change_and_its_server_not(tmp_path: Path) -> None:
    first = {"url": "postgresql://u:a@h/d", "replica_url": "postgresql://u:a@r/d"}
    settings = urls(tmp_path, first)
    current = current_urls(settings)
    assert [current(url) for url in (*first.values(), "postgresql://other/d")] == [
        *first.values(),
        "postgresql://other/d",
    ]
    url, replica = settings.references
    url.take("postgresql://v:b@h/d")
    replica.take("postgresql://u:b@elsewhere/d")
    assert [current(url) for url in first.values()] == ["postgresql://v:b@h/d", "postgresql://u:a@r/d"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("mysql://u:a@h:1/d", "mysql://v:b@h:1/d", True),
        ("mysql://u:a@h/d", "mysql://h/d", True),
        ("mysql://u:a@h:1/d", "mysql://u:a@h:2/d", False),
        ("mysql://u:a@h/d", "mysql://u:a@h/e", False),
        ("mysql://u:a@h/d", "mariadb://u:a@h/d", False),
        ("mysql://u:a@h/d?x=1", "mysql://u:a@h/d?x=2", False),
        ("mysql://u:a@h/d", "mysql://u:a@[h/d", False),
    ],
)
def test_the_same_server(one: str, other: str, same: bool) -> None:
    assert same_server(one, other) is same
