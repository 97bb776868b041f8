"""What ``mainstay run`` prints when calls are taken."""

from __future__ import annotations

from typing import Any

from mainstay.app.credentials import development_token
from mainstay.app.settings import Settings
from mainstay.app.settings.model import Exposure
from mainstay.cli.console import Console

_PAGES = (("API", "", None), ("docs", "/docs", "docs"), ("health", "/health", None), ("metrics", "/metrics", "metrics"))


def announce(settings: Settings, console: Console, *, url: str, admin: str | None, demo: bool) -> None:
    """Print where everything is, and with ``demo`` how to try it."""
    pages = _pages(settings, url, admin)
    tokens = _tokens(settings) if demo else {}
    requests = _filled(settings, url, tokens) if demo else []
    facts: dict[str, Any] = {"url": url, "admin": admin, "profile": settings.profile, "pages": pages}
    if demo:
        facts |= {"tokens": tokens, "requests": requests}
    console.facts(facts, lambda: _text(settings, pages, tokens, requests))


def _pages(settings: Settings, url: str, admin: str | None) -> dict[str, str]:
    pages = {}
    for name, path, exposure in _PAGES:
        shown: Exposure = "public" if exposure is None else settings.shown(getattr(settings.expose, exposure))
        base = url if shown == "public" else admin if shown == "admin" else None
        if base is not None:
            pages[name] = base + path
    return pages


def _tokens(settings: Settings) -> dict[str, str]:
    from mainstay.adapters.local.clock import SystemClock

    now = SystemClock().time()
    return {
        wanted.name: development_token(
            settings, now=now, subject=wanted.subject, roles=wanted.roles, scopes=wanted.scopes, tenant=wanted.tenant
        )
        for wanted in settings.demo.tokens
    }


def _filled(settings: Settings, url: str, tokens: dict[str, str]) -> list[str]:
    """Put URL and tokens into the requests. Other braces are left alone: they may be JSON."""
    filled = []
    for request in settings.demo.requests:
        for name, value in {"url": url, **tokens}.items():
            request = request.replace("{" + name + "}", value)
        filled.append(request)
    return filled


def _text(settings: Settings, pages: dict[str, str], tokens: dict[str, str], requests: list[str]) -> str:
    lines = [f"serving {settings.service} ({settings.profile}), stop with Ctrl-C", ""]
    lines += [f"  {name:<9}{place}" for name, place in pages.items()]
    for name, token in tokens.items():
        lines += ["", f"  token of a {name} (good for 12 hours):", f"  {token}"]
    if requests:
        lines += ["", "  try:"]
        lines += [part for request in requests for part in ("", request)]
    return "\n".join(lines) + "\n"
