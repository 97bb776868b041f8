"""Documents of Vault: key-value engines of both versions, and what other engines lend."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import hvac
import msgspec
from hvac import exceptions
from requests import RequestException

from mainstay.ports.secrets import SecretDocument, SecretSource, SecretUnreadable

_HALF = 2  # a log-in and a lease are renewed at half of their time
_WORDS: Mapping[type[Exception], str] = {
    exceptions.Forbidden: "the server refuses it to this service (403)",
    exceptions.Unauthorized: "the server does not know this service (401)",
    exceptions.InvalidPath: "there is nothing at this path",
    exceptions.InvalidRequest: "the server does not understand the request (400)",
    exceptions.VaultDown: "the server is sealed (503)",
    exceptions.RateLimitExceeded: "the server is asked too often (429)",
}


class Login(ABC):
    """How a service proves to the server who it is."""

    @abstractmethod
    def log_in(self, client: hvac.Client) -> float:
        """Give the client a token. Returns for how many seconds it is good; 0: for ever. Raises what hvac raises."""


class ByToken(Login):
    """By a token that somebody else has made; it is renewed, where it can be."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def log_in(self, client: hvac.Client) -> float:
        """Take the token of now, and have it last."""
        client.token = self._token()
        data = client.auth.token.lookup_self()["data"]
        if data.get("renewable"):
            return float(client.auth.token.renew_self()["auth"]["lease_duration"])
        return float(data.get("ttl", 0))


class ByAppRole(Login):
    """By a role's id and a secret id."""

    def __init__(self, role_id: str, secret_id: Callable[[], str], mount: str) -> None:
        self._role_id = role_id
        self._secret_id = secret_id
        self._mount = mount or "approle"

    def log_in(self, client: hvac.Client) -> float:
        """Log in."""
        made = client.auth.approle.login(self._role_id, self._secret_id(), mount_point=self._mount)
        return float(made["auth"]["lease_duration"])


class ByKubernetes(Login):
    """By the token that Kubernetes gives a pod, which is read anew each time."""

    def __init__(self, role: str, token: Path, mount: str) -> None:
        self._role = role
        self._token = token
        self._mount = mount or "kubernetes"

    def log_in(self, client: hvac.Client) -> float:
        """Log in."""
        try:
            token = self._token.read_text().strip()
        except OSError:
            raise SecretUnreadable(f"the pod's token is not at {self._token}") from None
        made = client.auth.kubernetes.login(self._role, token, mount_point=self._mount)
        return float(made["auth"]["lease_duration"])


class VaultSecrets(SecretSource):
    """``vault://kv/shop#password``: the member ``password`` of ``shop`` in the engine at ``kv``.

    The server is asked which engine a path is of, as its own command line does: a document of a key-value engine of
    version 2 is its newest version. Of other engines (databases, PKI) each look-up makes new credentials, which are
    lent: they are looked up again at half of their time. Numbers and the like become their JSON text. ``certificates``
    is a file of authorities that are believed in place of the system's.
    """

    def __init__(
        self,
        address: str,
        login: Login,
        *,
        seconds: float,
        clock: Callable[[], float],
        namespace: str = "",
        certificates: Path | None = None,
    ) -> None:
        verify: bool | str = True if certificates is None else str(certificates)
        self._client = hvac.Client(
            url=address,
            token="",
            verify=verify,
            timeout=seconds,
            namespace=namespace or None,
            allow_redirects=False,  # whoever it led to would be shown the token
        )
        self._client.session.trust_env = False  # neither a proxy nor credentials of a file
        self._login = login
        self._clock = clock
        self._until = 0.0
        self._engines: dict[str, bool] = {}

    def read(self, path: str) -> SecretDocument:
        """Return a document."""
        try:
            if self._clock() >= self._until:
                self._log_in()
            try:
                return self._read(path)
            except (exceptions.Forbidden, exceptions.Unauthorized):
                self._log_in()  # what was proven may have been taken back, or have ended
                return self._read(path)
        except exceptions.VaultError as error:
            raise SecretUnreadable(_WORDS.get(type(error), f"the server answers with {type(error).__name__}")) from None
        except (RequestException, ValueError) as error:
            raise SecretUnreadable(f"the server is not reached: {type(error).__name__}") from None
        except (KeyError, TypeError, AttributeError, msgspec.MsgspecError):
            raise SecretUnreadable("the server's answer is none of Vault's") from None

    def _log_in(self) -> None:
        lasts = self._login.log_in(self._client)
        self._until = self._clock() + lasts / _HALF if lasts else float("inf")

    def _read(self, path: str) -> SecretDocument:
        mount, versioned = self._engine(path)
        rest = path.removeprefix(mount)
        answer: Any = self._client.read(f"{mount}data/{rest}" if versioned else path)
        if answer is None:
            raise exceptions.InvalidPath
        data = answer["data"]["data"] if versioned else answer["data"]
        if data is None:  # the newest version was deleted
            raise exceptions.InvalidPath
        members = {name: value if isinstance(value, str) else json.dumps(value) for name, value in data.items()}
        return SecretDocument(members=members, seconds=float(answer.get("lease_duration") or 0) or None)

    def _engine(self, path: str) -> tuple[str, bool]:
        """Return where the engine of a path is mounted, and whether its documents have versions."""
        for mount, versioned in self._engines.items():
            if path.startswith(mount):
                return mount, versioned
        told: Any = self._client.adapter.get(f"/v1/sys/internal/ui/mounts/{path}")
        mount = str(told["data"]["path"])
        versioned = told["data"]["type"] == "kv" and (told["data"].get("options") or {}).get("version") == "2"
        self._engines[mount] = versioned
        return mount, versioned

    def close(self) -> None:
        """End the connections."""
        self._client.adapter.close()
