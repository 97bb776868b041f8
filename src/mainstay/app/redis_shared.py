"""Limits, cache, signals and leaderboards of ``redis://`` URLs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from mainstay.adapters.local.ids import SystemIds
from mainstay.adapters.redis.cache import RedisCache
from mainstay.adapters.redis.leaderboard import RedisLeaderboards
from mainstay.adapters.redis.limiter import RedisLimiter
from mainstay.adapters.redis.link import RedisLink
from mainstay.adapters.redis.signals import RedisSignals
from mainstay.app.broker_credentials import current_credentials
from mainstay.app.broker_urls import PREFIX, TLS_OPTIONS, BrokerUrl
from mainstay.app.redis import EXAMPLE, place_of
from mainstay.app.shared import SharedPart, Where


def limits(where: Where) -> SharedPart:
    """Count in Redis; while it is away in this process, or host, if the settings say so."""
    settings = where.settings.limits
    fallback = where.behind if settings.away == "local" else None
    made = RedisLimiter(_link(where), fallback=fallback)
    return SharedPart(made, partial(_closing, made.aclose))


def cache(where: Where) -> SharedPart:
    """Keep values in Redis, and in this process."""
    made = RedisCache(_link(where), where.behind, where.clock, SystemIds(), size=where.settings.cache.shared_size)
    return SharedPart(made, made.running)


def signals(where: Where) -> SharedPart:
    """Tell signals to all processes."""
    made = RedisSignals(_link(where))
    return SharedPart(made, made.running)


def leaderboards(where: Where) -> SharedPart:
    """Keep leaderboards as sorted sets."""
    made = RedisLeaderboards(_link(where))
    return SharedPart(made, partial(_closing, made.close))


def _link(where: Where) -> RedisLink:
    key = f"{where.part}.url"
    url = BrokerUrl(
        where.url,
        source=where.settings.source(key),
        example=EXAMPLE,
        options=("prefix", *TLS_OPTIONS),
        setting=key,
    )
    prefix = url.text("prefix", where.service, PREFIX, "letters, digits, - and _, 60 at most")
    timeout = getattr(where.settings, where.part).timeout_ms / 1000
    place = place_of(url, where.settings.root, current_credentials(where.url, where.current))
    return RedisLink(place, where.clock, where.observer, prefix=prefix, part=where.part, timeout=timeout)


@asynccontextmanager
async def _closing(close: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await close()
