"""References in place of secrets: looked up where they lead, one look-up for all that stand in one document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import msgspec

from mainstay.app.refusal import Refusal
from mainstay.app.registry import find
from mainstay.app.settings.faults import SettingFault
from mainstay.app.settings.model import Settings
from mainstay.app.settings.outside import SecretsFrom
from mainstay.ports.secrets import LivingSecret, SecretDocument, SecretSource, SecretUnreadable, value_of

_HERE = frozenset({"env", "file"})
_OWN = "secrets_from."


class Found(msgspec.Struct, frozen=True):
    """What a look-up has found of one secret: its value, or why there is none; and for how long it is lent."""

    secret: LivingSecret
    value: str | None
    why: str = ""
    seconds: float | None = None

    def __repr__(self) -> str:
        return f"<Found {self.secret.setting}>"


class Sources:
    """The places where secrets are kept, each opened when it is first asked."""

    def __init__(self, told: SecretsFrom, root: Path, environ: Mapping[str, str]) -> None:
        self._told = told
        self._root = root
        self._environ = environ
        self._open: dict[str, SecretSource] = {}

    def look_up(self, secrets: Iterable[LivingSecret]) -> Iterator[Found]:
        """Find the values of now. A place that was not to be had is not asked again in the same look-up."""
        documents: dict[tuple[str, str], SecretDocument | SecretUnreadable] = {}
        until = monotonic() + self._told.seconds
        for secret in secrets:
            reference = secret.reference
            place = (reference.scheme, reference.path)
            if place not in documents:
                documents[place] = self._document(*place, late=monotonic() > until)
            document = documents[place]
            try:
                if isinstance(document, SecretUnreadable):
                    raise document
                yield Found(secret, value_of(document, reference), seconds=document.seconds)
            except SecretUnreadable as error:
                yield Found(secret, None, str(error))

    def _document(self, scheme: str, path: str, *, late: bool) -> SecretDocument | SecretUnreadable:
        if late and scheme not in _HERE:
            return SecretUnreadable(f"the look-ups before it took more than {self._told.seconds:g} s")
        try:
            if scheme not in self._open:
                self._open[scheme] = find("secrets", scheme)(self._told, self._root, self._environ)
            return self._open[scheme].read(path)
        except SecretUnreadable as error:
            return error
        except Refusal as refusal:
            return SecretUnreadable("; ".join((refusal.message, *refusal.remedies)))

    def close(self) -> None:
        """Let go of all."""
        for source in self._open.values():
            source.close()
        self._open.clear()


@contextmanager
def sources_of(settings: Settings, environ: Mapping[str, str]) -> Iterator[Sources]:
    """Have the places that the settings name, until the block ends."""
    sources = Sources(settings.secrets_from, settings.root, environ)
    try:
        yield sources
    finally:
        sources.close()


def look_up_all(settings: Settings, environ: Mapping[str, str]) -> list[SettingFault]:
    """Give each secret that is kept elsewhere its value, and return what is wrong: settings and references, no values.

    Those that other look-ups need come first; they are of this machine.
    """
    if not settings.references:
        return []
    own = [secret for secret in settings.references if secret.setting.startswith(_OWN)]
    others = [secret for secret in settings.references if not secret.setting.startswith(_OWN)]
    faults: list[SettingFault] = []
    with sources_of(settings, environ) as sources:
        for secrets in (own, others):
            local = [one for one in secrets if secrets is others or one.reference.scheme in _HERE]
            faults += [_circular(settings, one) for one in secrets if one not in local]
            for found in sources.look_up(local):
                if found.value is None:
                    faults.append(unreadable(settings, found))
                else:
                    found.secret.take(found.value)
                    found.secret.former = None
    return faults


def unreadable(settings: Settings, found: Found) -> SettingFault:
    """Return the fault of a secret that could not be had."""
    secret = found.secret
    remedy = "mend the reference, or what it leads to"
    return SettingFault(secret.setting, _place(settings, secret), f"{secret.reference}: {found.why}", remedy)


def _place(settings: Settings, secret: LivingSecret) -> str:
    """Return where a secret was set; an item of a list was set where the list was."""
    whole = secret.setting if secret.setting in settings.sources else secret.setting.rpartition("[")[0]
    return settings.source(whole)


def _circular(settings: Settings, secret: LivingSecret) -> SettingFault:
    problem = f"{secret.reference}: it is needed to look up others, and may lead to this machine only"
    return SettingFault(secret.setting, _place(settings, secret), problem, "use env:// or file://")
