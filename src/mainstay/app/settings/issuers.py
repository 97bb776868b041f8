"""The rules of issuers that are trusted by their URL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mainstay.app.settings.faults import SettingFault
from mainstay.app.settings.model import Settings


def issuer_rules(settings: Settings) -> Iterator[SettingFault]:
    """Give every fault of those settings."""
    auth = settings.auth
    if settings.sessions.issuer and settings.sessions.issuer == auth.issuer:
        yield SettingFault(
            "sessions.issuer",
            settings.source("sessions.issuer"),
            "it is auth.issuer, whose tokens others sign",
            "give each its own: the service signs in the name of sessions.issuer with keys of its own",
        )
    if not auth.issuers:
        return
    from mainstay.adapters.oidc.metadata import issuer_fault

    counted = Counter(one.url for one in auth.issuers)
    for index, one in enumerate(auth.issuers):
        key = f"auth.issuers[{index}]"
        source = settings.source("auth.issuers")
        fault = issuer_fault(one.url, loopback=not settings.is_production)
        if fault is not None:
            remedy = "give the issuer as its tokens name it, for example https://id.shop.example"
            yield SettingFault(f"{key}.url", source, fault, remedy)
        elif counted[one.url] > 1:
            yield SettingFault(f"{key}.url", source, "two entries have the same URL", "keep one of them")
        elif one.url == auth.issuer and (auth.key.reveal() or auth.keys):
            yield SettingFault(
                f"{key}.url", source, "it is auth.issuer, whose keys are given", "drop the keys, or this entry"
            )
        elif one.url == settings.sessions.issuer:
            yield SettingFault(f"{key}.url", source, "it is sessions.issuer: the service itself", "drop this entry")
        if not (one.audience or auth.audience) or "" in one.audience:
            yield SettingFault(
                f"{key}.audience", source, "tokens cannot be judged without it", "give the audience of the tokens"
            )
