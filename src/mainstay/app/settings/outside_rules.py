"""The rules of what leads outside: hosts that may be called, and the places where secrets are kept."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from mainstay.adapters.outgoing.allowances import allowances
from mainstay.app.settings.faults import SettingFault
from mainstay.app.settings.model import Settings, is_loopback


def outgoing_rules(settings: Settings) -> Iterator[SettingFault]:
    """Give every fault of those settings."""
    key, outgoing = "outgoing.allow", settings.outgoing
    try:
        allowances(outgoing.allow)
    except ValueError as error:
        remedy = "for example 10.1.2.0/24, 127.0.0.1:8200, service.internal, *.svc.cluster.local"
        yield SettingFault(key, settings.source(key), str(error), remedy)
    if outgoing.certificates and not (settings.root / outgoing.certificates).is_file():
        key = "outgoing.certificates"
        yield SettingFault(key, settings.source(key), "there is no such file", "give the path of a PEM file")


def vault_rules(settings: Settings) -> Iterator[SettingFault]:
    """Refuse, in production, a server that is shown its token in the clear."""
    key, address = "secrets_from.vault.address", settings.secrets_from.vault.address
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        yield SettingFault(key, settings.source(key), "it is no URL", "for example https://vault.internal:8200")
        return
    if parts.scheme == "http" and not is_loopback(host):
        problem = "whoever is between sees the token, and every secret"
        yield SettingFault(key, settings.source(key), problem, "use https, or an agent on 127.0.0.1")
