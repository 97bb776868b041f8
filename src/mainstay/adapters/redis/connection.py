"""Where a Redis server is, and the client that reaches it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import RedisError, ResponseError

from mainstay.ports.broker import BrokerAway

SECONDS = 10.0
"""How long an answer is waited for, beyond what a read was to wait by itself."""

CONNECT_SECONDS = 5.0

FAILURES = (RedisError, OSError, TimeoutError)
"""What a client raises that gets no answer, or an error for one."""


Credentials = tuple[str | None, str | None]
"""A user and a password; None for what is not given."""


def nobody() -> Credentials:
    """Return no credentials."""
    return None, None


class RedisPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A database of one Redis server, and who asks.

    ``credentials`` gives user and password, and is asked for each connection: they may change.
    ``ca`` is the file of the authorities that its certificate must be from, where it is not one of the system's;
    ``certificate`` and ``key`` are the client's own.
    """

    host: str
    port: int = 6379
    database: int = 0
    credentials: Callable[[], Credentials] = nobody
    tls: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


class _Current(CredentialProvider):
    """Gives a client the credentials of now."""

    def __init__(self, credentials: Callable[[], Credentials]) -> None:
        self._credentials = credentials

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        user, password = self._credentials()
        return (password or "",) if user is None else (user, password or "")


def provider_of(place: RedisPlace) -> CredentialProvider | None:
    """Return what gives a client the credentials of now; None where nobody in particular asks."""
    return _Current(place.credentials) if place.credentials() != nobody() else None


def client_of(place: RedisPlace) -> Redis:
    """Return a client that connects at its first command, and tries nothing a second time by itself.

    A read that was tried again unseen would lose what came in the answer that was lost.
    """
    return Redis(
        host=place.host,
        port=place.port,
        db=place.database,
        credential_provider=provider_of(place),
        ssl=place.tls,
        ssl_ca_certs=_text(place.ca),
        ssl_certfile=_text(place.certificate),
        ssl_keyfile=_text(place.key),
        protocol=2,
        socket_timeout=SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        client_name="mainstay",
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


async def answers_of(pipeline: Pipeline) -> list[Any]:
    """Run commands and return their answers. Raises what the first of them was refused by, as the server said it."""
    answers: list[Any] = await pipeline.execute(raise_on_error=False)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


def away(error: BaseException | None) -> BrokerAway:
    """Return what is told of a failure: its kind, for the text of an error may repeat what was sent."""
    told = type(error).__name__
    if isinstance(error, ResponseError):
        code = str(error).partition(" ")[0]
        told = f"it answers {code}" if code.isupper() else f"it answers with {told}"
    gone = BrokerAway(f"Redis does not do what it was asked for: {told}")
    gone.__cause__ = error
    return gone


def code_of(answer: object) -> str:
    """Return the code of an error that stands in place of an answer ("BUSYGROUP"), or "" of any other answer."""
    return str(answer).partition(" ")[0] if isinstance(answer, ResponseError) else ""
