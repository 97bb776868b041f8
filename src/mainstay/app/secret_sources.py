"""The places of secrets on this machine, from settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mainstay.adapters.local.secrets import EnvironmentSecrets, FileSecrets
from mainstay.app.settings.outside import SecretsFrom
from mainstay.ports.secrets import SecretSource


def environment(told: SecretsFrom, root: Path, environ: Mapping[str, str]) -> SecretSource:  # noqa: ARG001 - the form
    """``env://NAME``."""
    return EnvironmentSecrets(environ)


def files(told: SecretsFrom, root: Path, environ: Mapping[str, str]) -> SecretSource:  # noqa: ARG001 - the form
    """``file:///path``, or ``file://path`` beside mainstay.toml."""
    return FileSecrets(root)
