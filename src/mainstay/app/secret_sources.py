"""The places where secrets are kept, from settings. What they need is imported only where a reference leads there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from mainstay.adapters.local.secrets import EnvironmentSecrets, FileSecrets
from mainstay.app.settings.outside import SecretsFrom
from mainstay.ports.secrets import SecretSource, SecretUnreadable

if TYPE_CHECKING:
    from mainstay.adapters.vault.secrets import Login
    from mainstay.app.settings.outside import Vault


def environment(told: SecretsFrom, root: Path, environ: Mapping[str, str]) -> SecretSource:  # noqa: ARG001 - the form
    """``env://NAME``."""
    return EnvironmentSecrets(environ)


def files(told: SecretsFrom, root: Path, environ: Mapping[str, str]) -> SecretSource:  # noqa: ARG001 - the form
    """``file:///path``, or ``file://path`` beside mainstay.toml."""
    return FileSecrets(root)


def vault(told: SecretsFrom, root: Path, environ: Mapping[str, str]) -> SecretSource:  # noqa: ARG001 - the form
    """``vault://path#key``. Raises ``SecretUnreadable`` where the settings do not say which server, or who asks."""
    from mainstay.adapters.vault.secrets import VaultSecrets

    server = told.vault
    if not server.address.startswith(("https://", "http://")):
        raise SecretUnreadable("secrets_from.vault.address names no server, as https://vault.internal:8200")
    return VaultSecrets(
        server.address,
        _login(server, root),
        seconds=told.seconds,
        clock=monotonic,
        namespace=server.namespace,
        certificates=root / server.certificates if server.certificates else None,
    )


def _login(server: Vault, root: Path) -> Login:
    from mainstay.adapters.vault.secrets import ByAppRole, ByKubernetes, ByToken

    if server.auth == "approle":
        _needed(role_id=server.role_id, secret_id=server.secret_id.reveal())
        return ByAppRole(server.role_id, server.secret_id.reveal, server.mount)
    if server.auth == "kubernetes":
        _needed(role=server.role)
        return ByKubernetes(server.role, root / server.token_path, server.mount)
    _needed(token=server.token.reveal())
    return ByToken(server.token.reveal)


def _needed(**values: str) -> None:
    for name, value in values.items():
        if not value:
            raise SecretUnreadable(f"secrets_from.vault.{name} is not set")


def secrets_manager(
    told: SecretsFrom,
    root: Path,  # noqa: ARG001 - the form of a factory
    environ: Mapping[str, str],  # noqa: ARG001
) -> SecretSource:
    """``aws-sm://name#key``."""
    from mainstay.adapters.aws.secrets import SecretsManagerSecrets

    return SecretsManagerSecrets(seconds=told.seconds, region=told.aws.region, endpoint=told.aws.endpoint)
