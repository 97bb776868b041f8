"""What can be set of the world outside: which hosts may be called, and where secrets come from."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mainstay.app.settings.section import Bytes, Count, Name, Port, Seconds, Section
from mainstay.model.values import Secret


class Outgoing(Section, frozen=True):
    """Calls to other services. Public hosts may be called, and what is listed; nothing else."""

    allow: list[str] = []  # 10.1.2.0/24, 127.0.0.1:8200, service.internal, *.svc.cluster.local
    ports: list[Port] = msgspec.field(
        default_factory=lambda: [80, 443]
    )  # of public hosts; what is listed may be called at any, or at the one that it names
    max_body: Bytes = 16 * 1024 * 1024  # of an answer, whatever a caller asks for
    connections: Count = 100  # of a worker
    connections_per_host: Count = 20
    certificates: str = ""  # a PEM file of authorities that are believed beside the system's


class Vault(Section, frozen=True):
    """The server that ``vault://`` leads to (HashiCorp Vault, OpenBao), and what this service proves itself by."""

    address: str = ""  # https://vault.internal:8200
    auth: Literal["token", "approle", "kubernetes"] = "token"
    token: Secret[str] = Secret("")
    role_id: str = ""  # of AppRole
    secret_id: Secret[str] = Secret("")  # of AppRole
    role: str = ""  # of Kubernetes
    token_path: Name = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - a path, of Kubernetes
    mount: str = ""  # of the method of authentication, where it is not at its own name
    namespace: str = ""
    certificates: str = ""  # a PEM file of authorities that are believed in place of the usual ones


class Aws(Section, frozen=True):
    """Where ``aws-sm://`` leads to. The credentials are those that the AWS tools find."""

    region: str = ""  # empty: as the AWS tools find it
    endpoint: str = ""  # of something that stands in for Secrets Manager


class SecretsFrom(Section, frozen=True):
    """Where references in place of secrets lead to, and how often they are looked up again."""

    refresh_seconds: Annotated[float, Meta(ge=0, le=86_400)] = 60.0  # 0: at SIGHUP only
    seconds: Seconds = 10.0  # for one look-up
    vault: Vault = Vault()
    aws: Aws = Aws()
