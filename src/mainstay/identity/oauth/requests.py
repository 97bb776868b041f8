"""An authorization request (RFC 6749, section 4.1.1; OpenID Connect Core, section 3.1.2.1), read and checked.

Whether there is somebody to send an answer to is found out first: the client and the page that it names. What is wrong
beside that is told to the client there, with ``iss`` (RFC 9207).
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import msgspec

from mainstay.identity.oauth.entities import CODE, REFRESH, RegisteredClient
from mainstay.identity.oauth.forms import fields_of
from mainstay.identity.oauth.pkce import is_challenge
from mainstay.identity.oauth.problems import (
    InvalidClient,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    OAuthProblem,
    RequestNotSupported,
    RequestUriNotSupported,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from mainstay.identity.oauth.redirects import is_listed, with_parameters
from mainstay.identity.oauth.rules import OAuthRules
from mainstay.model.problem import NotFound
from mainstay.ports.repository import Repository

MAX_STATE = 1000  # characters, of state and nonce
OFFLINE = "offline_access"


class Addressed(msgspec.Struct, frozen=True):
    """A request whose answer can be sent: by whom it is, and where its answer goes."""

    client: RegisteredClient
    redirect_uri: str
    parameters: Mapping[str, str]

    def answer(self, rules: OAuthRules, **parameters: str) -> str:
        """Return the URL that takes an answer to the client."""
        state = self.parameters.get("state")
        named = {**parameters, **({} if state is None else {"state": state}), "iss": rules.issuer}
        return with_parameters(self.redirect_uri, named)

    def refusal(self, rules: OAuthRules, problem: OAuthProblem) -> str:
        """Return the URL that tells the client what is wrong."""
        return self.answer(rules, error=problem.error, error_description=problem.detail)


class AuthorizationRequest(msgspec.Struct, frozen=True):
    """What a client asks an account for, checked."""

    scopes: tuple[str, ...]
    challenge: str
    nonce: str | None
    prompts: frozenset[str]
    max_age: int | None


async def client_with(clients: Repository[RegisteredClient], id_: str) -> RegisteredClient | None:
    """Return the client with an id, unless it was revoked."""
    try:
        found = await clients.get(UUID(id_)) if len(id_) == 36 else None
    except (ValueError, NotFound):
        return None
    return None if found is None or found.revoked_at is not None or str(found.id) != id_ else found


async def addressed(query: str, clients: Repository[RegisteredClient]) -> Addressed:
    """Find out whose a request is and where its answer goes.

    Raises an ``OAuthProblem`` for the person who looks at it: nobody is redirected anywhere then (RFC 6749, section
    4.1.2.1).
    """
    parameters = fields_of(query.removeprefix("?").encode("utf-8", "surrogatepass"))
    client = await client_with(clients, parameters.get("client_id", ""))
    if client is None:
        raise InvalidClient("there is no such client", headers={"Content-Type": "application/json"})
    given = parameters.get("redirect_uri")
    if given is None or not is_listed(given, client.redirect_uris):
        raise InvalidRequest("the redirect_uri is not one that the client has listed, to the letter")
    return Addressed(client, given, parameters)


def checked(asked: Addressed, rules: OAuthRules) -> AuthorizationRequest:
    """Check the rest of a request. Raises an ``OAuthProblem`` to be told to the client."""
    parameters, client = asked.parameters, asked.client
    _check_kind(parameters, client)
    if parameters.get("code_challenge_method") != "S256" or not is_challenge(parameters.get("code_challenge", "")):
        raise InvalidRequest("PKCE is required: code_challenge of 43 characters, and code_challenge_method S256")
    if any(len(parameters.get(name, "")) > MAX_STATE for name in ("state", "nonce")):
        raise InvalidRequest(f"state and nonce may have {MAX_STATE} characters")
    if parameters.get("resource", rules.audience) not in (rules.audience, rules.issuer):
        raise InvalidTarget
    prompts = frozenset(parameters.get("prompt", "").split())
    if "none" in prompts and len(prompts) > 1:
        raise InvalidRequest("prompt none stands alone")
    return AuthorizationRequest(
        scopes=scopes_of(parameters.get("scope"), client, rules),
        challenge=parameters["code_challenge"],
        nonce=parameters.get("nonce"),
        prompts=prompts,
        max_age=_max_age(parameters.get("max_age")),
    )


def _check_kind(parameters: Mapping[str, str], client: RegisteredClient) -> None:
    if "request" in parameters:
        raise RequestNotSupported
    if "request_uri" in parameters:
        raise RequestUriNotSupported
    if parameters.get("response_type") != "code":
        raise UnsupportedResponseType if "response_type" in parameters else InvalidRequest("response_type is missing")
    if parameters.get("response_mode", "query") != "query":
        raise InvalidRequest("the response_mode is query")
    if CODE not in client.grants:
        raise UnauthorizedClient


def scopes_of(asked: str | None, client: RegisteredClient, rules: OAuthRules) -> tuple[str, ...]:
    """Return the scopes that are asked for, each once, in their order; none: all that the client may have.

    A client that may not refresh has no use of ``offline_access``. Raises ``InvalidScope``.
    """
    named = tuple(dict.fromkeys(asked.split())) if asked is not None else tuple(client.scopes)
    allowed = [name for name in client.scopes if name in rules.scopes]
    if not named or not all(name in allowed for name in named):
        raise InvalidScope
    return tuple(name for name in named if name != OFFLINE or REFRESH in client.grants)


def _max_age(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidRequest("max_age is a number of seconds")
    return int(text)
