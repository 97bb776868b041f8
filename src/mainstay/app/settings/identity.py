"""What can be set of accounts: their passwords, their letters, their sessions, and what others may have of them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from mainstay.app.settings.section import Section
from mainstay.model.values import Secret


class Passwords(Section, frozen=True):
    """How passwords are hashed (Argon2id, with the parameters that OWASP recommends), and which may be chosen.

    ``memory_kib`` is taken by each of ``threads`` hashes of a worker; ``waiting`` more wait for their turn: 503 beyond.
    """

    memory_kib: Annotated[int, Meta(ge=7_168, le=4_194_304)] = 19_456
    iterations: Annotated[int, Meta(ge=1, le=20)] = 2
    lanes: Annotated[int, Meta(ge=1, le=16)] = 1
    threads: Annotated[int, Meta(ge=1, le=64)] = 1
    waiting: Annotated[int, Meta(ge=0, le=10_000)] = 64
    least: Annotated[int, Meta(ge=8, le=64)] = 8  # characters
    most: Annotated[int, Meta(ge=64, le=4_096)] = 256
    list_file: str = ""  # of passwords that are not taken, beside the common ones: lines, or sorted SHA-1 digests


class Mail(Section, frozen=True):
    """How letters are sent. ``auto`` is by SMTP where a host is named, else to the terminal; not in production."""

    engine: Literal["auto", "console", "memory", "smtp"] = "auto"
    host: str = ""
    port: Annotated[int, Meta(ge=1, le=65_535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: Secret[str] = Secret("")
    sender: str = ""  # accounts@shop.example, or Shop <accounts@shop.example>
    seconds: Annotated[float, Meta(gt=0, le=300)] = 20.0  # for one letter

    @property
    def chosen(self) -> str:
        """The engine that counts."""
        if self.engine != "auto":
            return self.engine
        return "smtp" if self.host else "console"


class Sessions(Section, frozen=True):
    """In whose name a service with accounts signs, and how browsers keep its sessions.

    ``issuer`` is what tokens say they are from (where it is empty ``urn:service:`` and the service's name): the https
    URL that the service is reached by from outside, where it is a provider for others; ``audience`` is this service
    itself (its name). ``cookie`` "secure" is for TLS only, "plain" for http on this machine; ``auto`` is plain in
    development and test, unless the door speaks TLS.
    """

    issuer: str = ""
    audience: str = ""
    algorithm: Literal["EdDSA", "ES256"] = "EdDSA"  # of new signing keys
    grace_seconds: Annotated[int, Meta(ge=0, le=60)] = 10  # in which a spent refresh token may come again
    cookie: Literal["auto", "secure", "plain"] = "auto"
    same_site: Literal["lax", "strict"] = "lax"


class OAuth(Section, frozen=True):
    """What the service is as a provider for others, where ``Identity(server=...)`` makes it one."""

    page: str = ""  # of the team, where accounts are asked for their consent: the authorization endpoint
