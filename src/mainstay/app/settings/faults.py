"""What is wrong with the settings, said so that it can be mended."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class SettingFault(msgspec.Struct, frozen=True):
    """One thing that is wrong: the key, where it was set, what is wrong with it, and what to do. No value is shown."""

    key: str
    source: str
    problem: str
    remedy: str = ""

    def __str__(self) -> str:
        where = f"{self.key} ({self.source})" if self.source else self.key
        return f"{where}: {self.problem}" + (f"; {self.remedy}" if self.remedy else "")


class SettingsRefused(Exception):
    """The settings cannot be used. ``faults`` holds all that is wrong with them."""

    def __init__(self, faults: Sequence[SettingFault], profile: str) -> None:
        super().__init__(f"{len(faults)} settings are wrong")
        self.faults: tuple[SettingFault, ...] = tuple(faults)
        self.profile = profile
