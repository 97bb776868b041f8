"""The rules of what leads outside: hosts that may be called."""

from __future__ import annotations

from collections.abc import Iterator

from mainstay.adapters.outgoing.allowances import allowances
from mainstay.app.settings.faults import SettingFault
from mainstay.app.settings.model import Settings


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
