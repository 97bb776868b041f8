"""What replicas share, by its settings: where it is, what is refused, and what is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mainstay.adapters.local.shared_limiter import SharedLimiter
from mainstay.adapters.memory.cache import MemoryCache
from mainstay.adapters.memory.limiter import MemoryLimiter
from mainstay.adapters.memory.signals import MemorySignals
from mainstay.adapters.redis.cache import RedisCache
from mainstay.adapters.redis.limiter import RedisLimiter
from mainstay.adapters.redis.signals import RedisSignals
from mainstay.app.assembly import Application, assemble
from mainstay.app.observing import make_observing
from mainstay.app.refusal import Refusal
from mainstay.app.settings import Settings, SettingsRefused, load
from mainstay.model.limits import limit
from mainstay.model.module import Module
from mainstay.model.policy import anyone
from mainstay.model.problem import Unavailable
from mainstay.model.service import Service
from mainstay.model.structs import Entity
from mainstay.ports.cache import Cache
from mainstay.ports.leaderboard import Leaderboard
from mainstay.ports.signals import Signals
from mainstay.testing.recorder import Recorder

AWAY = "redis://:hunter2@127.0.0.1:1/3"


class Player(Entity):
    """Somebody who has a score."""

    name: str


def settings_of(folder: Path, **environ: str) -> Settings:
    return load(folder, environ={"MAINSTAY_PROFILE": "test", **environ})


def application(folder: Path, **environ: str) -> tuple[Application, dict[str, Any]]:
    """Return an application, and what its query was given."""
    module, given = Module("game"), dict[str, Any]()
    module.entity(Player)

    @module.query("GET /all", allow=anyone)
    async def everything(cache: Cache, signals: Signals, boards: Leaderboard[Player]) -> str:
        given.update(cache=cache, signals=signals, boards=boards)
        return "all"

    service = Service("game", modules=[module], limits=[limit("5/minute", by="address")])
    return assemble(service, settings_of(folder, **environ), observer=Recorder()), given


def resolver_of(made: Application, type_: Any) -> Any:
    return made.bound.providers.resolver(type_).make(None)


def test_a_section_may_be_said_by_its_url_alone(tmp_path: Path) -> None:
    text = 'cache = "redis://one:1"\n[signals]\nurl = "redis://two:2"\n[profile.test]\nlimits = "redis://three:3"\n'
    (tmp_path / "mainstay.toml").write_text(text)
    settings = settings_of(tmp_path, MAINSTAY_LEADERBOARDS="redis://four:4", MAINSTAY_CACHE_SIZE="7")
    found = [settings.cache, settings.signals, settings.limits, settings.leaderboards]
    urls = [one.url.reveal() for one in found]
    assert urls == ["redis://one:1", "redis://two:2", "redis://three:3", "redis://four:4"]
    assert settings.cache.size == 7
    assert settings.source("cache.url") == "mainstay.toml:cache"
    assert settings.source("leaderboards.url") == "MAINSTAY_LEADERBOARDS"
    over = settings_of(tmp_path, MAINSTAY_CACHE="redis://five:5")
    assert over.cache.url.reveal() == "redis://five:5"


def test_a_wrong_word_for_a_section_is_told(tmp_path: Path) -> None:
    (tmp_path / "mainstay.toml").write_text("cache = 5\n")
    with pytest.raises(SettingsRefused) as refused:
        settings_of(tmp_path)
    assert [fault.key for fault in refused.value.faults] == ["cache.url"]


def test_without_urls_nothing_needs_a_server(tmp_path: Path) -> None:
    made, _ = application(tmp_path)
    assert isinstance(made.ports.limiter, MemoryLimiter)
    assert isinstance(resolver_of(made, Cache), MemoryCache)
    assert isinstance(resolver_of(made, Signals), MemorySignals)
    assert made.shared.running == []
    assert list(made.shared.counted) == ["signals"]


def test_urls_of_redis_share_each_part(tmp_path: Path) -> None:
    urls = {f"MAINSTAY_{part}": f"{AWAY}?prefix=shop" for part in ("LIMITS", "CACHE", "SIGNALS", "LEADERBOARDS")}
    made, _ = application(tmp_path, **urls)
    assert isinstance(made.ports.limiter, RedisLimiter)
    assert isinstance(resolver_of(made, Cache), RedisCache)
    assert isinstance(resolver_of(made, Signals), RedisSignals)
    assert len(made.shared.running) == 4
    assert sorted(made.shared.counted) == ["cache", "leaderboards", "limits", "signals"]
    assert made.ports.limiter._link.base == "{shop}:limits:"


async def test_a_service_runs_while_redis_is_away_and_tells_so(tmp_path: Path) -> None:
    urls = {f"MAINSTAY_{part}": AWAY for part in ("LIMITS", "CACHE", "SIGNALS", "LEADERBOARDS")}
    made, _ = application(tmp_path, **urls)
    observing = make_observing(made.settings)
    async with made:
        observing.watch(made)
        (verdict,) = await made.ports.limiter.charge([(limit("5/minute"), "ann")])
        assert verdict.remaining == 4
        cache: Cache = resolver_of(made, Cache)
        await cache.set("a", 1, ttl=60)
        assert await cache.get("a") is None
        await resolver_of(made, Signals).publish("a", 1)
        with pytest.raises(Unavailable):
            await made.bound.providers._known[Leaderboard].make(None)("game.Player").top(1)
        text = observing.render([observing.metrics.snapshot()]).decode()
    observing.close()
    for line in (
        "mainstay_limits_charges_without_redis_total 1.0",
        "mainstay_limits_redis_away 1.0",
        "mainstay_cache_without_redis_total 2.0",
        "mainstay_signals_unsent_total 1.0",
    ):
        assert line in text
    notices = [one for one in made.ports.observer.notices if one.event == "redis_away"]
    assert {one.facts["part"] for one in notices} == {"limits", "cache", "signals", "leaderboards"}
    assert "hunter2" not in repr(notices)


async def test_calls_may_be_refused_instead(tmp_path: Path) -> None:
    made, _ = application(tmp_path, MAINSTAY_LIMITS=AWAY, MAINSTAY_LIMITS_AWAY="refuse")
    async with made:
        with pytest.raises(Unavailable):
            await made.ports.limiter.charge([(limit("5/minute"), "ann")])


@pytest.mark.parametrize("part", ["limits", "cache", "signals", "leaderboards"])
@pytest.mark.parametrize(
    "url",
    [
        "nowhere",
        "elsewhere://:hunter2@host",
        "redis://",
        "redis://:hunter2@host:port",
        "redis://:hunter2@host/x",
        "redis://:hunter2@host/0?timeout=5",
        "redis://:hunter2@host/0?prefix=a%20b",
        "redis://:hunter2@host/0#x",
    ],
)
def test_what_is_no_such_url_is_refused_without_its_secret(tmp_path: Path, part: str, url: str) -> None:
    with pytest.raises(Refusal) as refused:
        application(tmp_path, **{f"MAINSTAY_{part.upper()}": url})
    told = " ".join([refused.value.message, *refused.value.remedies])
    assert part in told
    assert "hunter2" not in told


@pytest.mark.parametrize(("environ", "told"), [({}, 1), ({"MAINSTAY_SIGNALS": AWAY}, 0)])
def test_signals_that_stay_in_one_worker_of_several_are_warned_of(
    tmp_path: Path, environ: dict[str, str], told: int
) -> None:
    file = f"sqlite:///{tmp_path}/game.sqlite"
    environ = environ | {
        "MAINSTAY_HTTP_WORKERS": "2",
        "MAINSTAY_DATABASE_URL": file,
        "MAINSTAY_BLOBS_URL": "file:///blobs",
    }
    made, _ = application(tmp_path, **environ)
    assert [one.event for one in made.ports.observer.notices] == ["signals_stay"] * told


async def test_a_shared_limiter_closes_what_stands_in_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[SharedLimiter] = []
    real = SharedLimiter.close

    def close(self: SharedLimiter) -> None:
        closed.append(self)
        real(self)

    monkeypatch.setattr(SharedLimiter, "close", close)
    made, _ = application(tmp_path, MAINSTAY_LIMITS=AWAY, MAINSTAY_LIMITS_PATH=str(tmp_path / "limits"))
    async with made:
        assert await made.ports.limiter.peek([(limit("5/minute"), "ann")])
    assert closed == [made.ports.limiter._fallback]
