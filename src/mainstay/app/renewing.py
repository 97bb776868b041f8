"""Secrets that are kept elsewhere, while the service runs: looked up again, and taken by those who hold them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from mainstay.app.credentials import resolve
from mainstay.app.settings import SettingFault, Settings, SettingsRefused
from mainstay.app.settings.references import Found, Sources, unreadable
from mainstay.app.settings.rules import check
from mainstay.ports.observer import Notice, Observer
from mainstay.ports.secrets import LivingSecret

if TYPE_CHECKING:
    from mainstay.adapters.crypto.sealer import AeadSealer
    from mainstay.adapters.jose.verifier import JwtVerifier

LEAST = 1.0
"""Seconds between two look-ups, however short a time a secret is lent for."""

Holders = Mapping[str, Callable[[], None]]
"""By the beginning of settings: what makes things anew of the secrets of now, and raises where they are no use."""


class Renewal:
    """Looks up again what may have changed, and has it taken, or leaves all as it was and says why.

    Who asks a secret each time needs nothing of this; ``holders`` are told. A secret that is not to be had keeps its
    value: a service does not fall because a vault does.
    """

    def __init__(self, settings: Settings, sources: Sources, observer: Observer, holders: Holders) -> None:
        self._settings = settings
        self._sources = sources
        self._observe = observer.observe
        self._holders = holders
        self._living = [secret for secret in settings.references if secret.reference.scheme != "env"]
        self.failing: dict[str, str] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look up again and again until the block ends."""
        seconds = self._settings.secrets_from.refresh_seconds
        if not (self._living and seconds):
            yield
            return
        task = asyncio.create_task(self._run(seconds), name="mainstay-secrets")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            self._sources.close()

    async def _run(self, seconds: float) -> None:
        wait = seconds
        while True:
            await asyncio.sleep(wait)
            lent = await self.renew()
            wait = max(LEAST, min(seconds, lent / 2)) if lent else seconds

    async def renew(self) -> float | None:
        """Look everything up once. Returns the shortest time for which anything is lent, in seconds."""
        found = await asyncio.to_thread(lambda: list(self._sources.look_up(self._living)))
        for each in found:
            self._take(each)
        return min((each.seconds for each in found if each.seconds), default=None)

    def _take(self, found: Found) -> None:
        secret = found.secret
        if found.value is None:
            self._failed(secret, unreadable(self._settings, found))
            return
        if found.value == secret.reveal():
            self.failing.pop(secret.setting, None)
            return
        before, former = secret.reveal(), secret.former
        secret.take(found.value)
        fault = self._fault(secret)
        if fault is not None:
            secret.give_back(before, former)
            self._tell_holders(secret)
            self._failed(secret, fault)
            return
        self.failing.pop(secret.setting, None)
        text = f"{secret.setting} has changed at {secret.reference}, and the new value counts"
        self._observe(Notice("info", "secret_renewed", text, {"setting": secret.setting}))

    def _fault(self, secret: LivingSecret) -> SettingFault | None:
        """Have a new value taken; return why that cannot be, where it cannot."""
        found = [fault for fault in check(self._settings) if fault.key == secret.setting]
        if found:
            return found[0]
        try:
            self._tell_holders(secret)
        except SettingsRefused as refused:
            return refused.faults[0]
        except ValueError as error:
            return SettingFault(secret.setting, self._settings.source(secret.setting), str(error))
        return None

    def _tell_holders(self, secret: LivingSecret) -> None:
        for beginning, holder in self._holders.items():
            if secret.setting.startswith(beginning):
                holder()

    def _failed(self, secret: LivingSecret, fault: SettingFault) -> None:
        """Say once what is wrong, and again when it is something else."""
        if self.failing.get(secret.setting) != fault.problem:
            self.failing[secret.setting] = fault.problem
            text = f"{fault}; the value of before counts on"
            self._observe(Notice("warning", "secret_not_renewed", text, {"setting": secret.setting}))


def make_renewal(
    settings: Settings, observer: Observer, *, sealer: AeadSealer, verifier: JwtVerifier | None
) -> Renewal | None:
    """Return what keeps the secrets of a service those of now; None where all stand in the settings themselves."""
    if not settings.references:
        return None

    def seal() -> None:
        sealer.use(resolve(settings).sealing)

    def verify() -> None:
        if verifier is not None:
            verifier.use(resolve(settings).keys)

    holders: Holders = {"sealing.": seal, "auth.": verify}
    return Renewal(settings, Sources(settings.secrets_from, settings.root, {}), observer, holders)
