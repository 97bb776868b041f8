"""Loading: the profile, then each source in its order, then the rules; every fault in one report."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mainstay.app.settings import rules
from mainstay.app.settings.faults import SettingFault, SettingsRefused
from mainstay.app.settings.model import DEFAULTS, PROFILES, Profile, Settings
from mainstay.app.settings.reading import Reader
from mainstay.app.settings.references import look_up_all
from mainstay.app.settings.sources import (
    FILE,
    Sourced,
    Tree,
    closest,
    find_root,
    merged,
    put,
    read_dotenv,
    read_environment,
    read_file,
)


def load(
    directory: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    profile: str | None = None,
) -> Settings:
    """Return the settings that count in ``directory`` (the current one), or raise ``SettingsRefused`` with all faults.

    A later source wins: the profile's defaults, ``mainstay.toml`` (of the nearest folder upwards), its
    ``[profile.<name>]`` tables, ``.env`` beside it (not in production), the environment, ``flags`` (dotted keys).
    """
    settings, faults = examine(directory, environ=environ, flags=flags, profile=profile)
    if faults:
        raise SettingsRefused(faults, settings.profile)
    return settings


def examine(
    directory: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    profile: str | None = None,
    secrets: bool = True,
) -> tuple[Settings, list[SettingFault]]:
    """Return the settings as far as they can be read, and all that is wrong with them.

    Without ``secrets`` references are not looked up: what is kept elsewhere is empty.
    """
    environ = os.environ if environ is None else environ
    faults: list[SettingFault] = []
    root = find_root((directory or Path.cwd()).resolve())
    chosen, chosen_by = _profile(root, environ, profile, faults)
    file = root / FILE
    common, by_profile = read_file(file, faults) if file.is_file() else ({}, {})
    tree = merged(_defaults(chosen), merged(common, by_profile.get(chosen, {})))
    if chosen != "production":
        tree = merged(tree, read_environment(read_dotenv(root / ".env", faults), ".env:", faults))
    tree = merged(tree, read_environment(environ, "", faults))
    tree = merged(tree, _flags(flags or {}))
    reader = Reader(root, faults)
    values = reader.section(Settings, tree)
    values.update(
        profile=chosen,
        profile_source=chosen_by,
        root=root,
        file=file if file.is_file() else None,
        sources=MappingProxyType(reader.sources),
        references=tuple(reader.references),
    )
    settings = Settings(**values)
    if secrets:
        faults += look_up_all(settings, environ)
    wrong = {key for fault in faults for key in (fault.key, fault.key.rpartition("[")[0])}  # and its list
    faults += [fault for fault in rules.check(settings) if fault.key not in wrong]
    return settings, faults


def _profile(
    root: Path, environ: Mapping[str, str], flag: str | None, faults: list[SettingFault]
) -> tuple[Profile, str]:
    """Choose the profile: the flag, the environment, this clone's own choice; else production."""
    mark = root / ".mainstay" / "profile"
    if flag is not None:
        name, source = flag, "--profile"
    elif environ.get("MAINSTAY_PROFILE"):
        name, source = environ["MAINSTAY_PROFILE"], "MAINSTAY_PROFILE"
    elif mark.is_file():
        name, source = mark.read_text(encoding="utf-8", errors="replace").strip(), str(mark.relative_to(root))
    else:
        return "production", "no profile is set"
    if name in PROFILES:
        return name, source
    guess = closest(name, PROFILES)
    remedy = f"did you mean {guess}?" if guess else f"use {', '.join(PROFILES)}"
    faults.append(SettingFault("profile", source, "there is no such profile", remedy))
    return "production", "the one that was asked for does not exist"


def _defaults(profile: Profile) -> Tree:
    tree: Tree = {}
    for key, value in DEFAULTS[profile].items():
        put(tree, key, Sourced(value, f"the default of the {profile} profile"))
    return tree


def _flags(flags: Mapping[str, Any]) -> Tree:
    tree: Tree = {}
    for key, value in flags.items():
        if value is not None:
            put(tree, key, Sourced(value, f"--{key.rpartition('.')[2].replace('_', '-')}"))
    return tree
