"""What ``vault://`` references need: the server, and who asks it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import monotonic

from mainstay.adapters.vault.secrets import ByAppRole, ByKubernetes, ByToken, Login, VaultSecrets
from mainstay.app.settings.outside import SecretsFrom, Vault
from mainstay.ports.secrets import SecretSource, SecretUnreadable


def make(told: SecretsFrom, root: Path, environ: Mapping[str, str]) -> SecretSource:  # noqa: ARG001 - the form
    """``vault://path#key``. Raises ``SecretUnreadable`` where the settings do not say which server, or who asks."""
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
