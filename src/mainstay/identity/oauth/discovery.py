"""What the service says of itself to clients (OpenID Connect Discovery 1.0; RFC 8414), and its public keys."""

from __future__ import annotations

from typing import Any

import msgspec

from mainstay.identity.oauth.entities import CODE, MACHINE, REFRESH
from mainstay.identity.oauth.rules import OAuthRules
from mainstay.identity.sessions.keys import SigningKeys

_SECRETS = ["client_secret_basic", "client_secret_post"]


def metadata_of(rules: OAuthRules, keys: SigningKeys) -> dict[str, Any]:
    """Return the document of the service. The authorization endpoint is the team's page."""
    return {
        "issuer": rules.issuer,
        "authorization_endpoint": rules.page,
        "token_endpoint": rules.url("token"),
        "jwks_uri": rules.url("jwks"),
        "userinfo_endpoint": rules.url("userinfo"),
        "revocation_endpoint": rules.url("revoke"),
        "introspection_endpoint": rules.url("introspect"),
        "scopes_supported": list(rules.scopes),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [CODE, REFRESH, MACHINE],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [*_SECRETS, "none"],
        "revocation_endpoint_auth_methods_supported": [*_SECRETS, "none"],
        "introspection_endpoint_auth_methods_supported": _SECRETS,
        "authorization_response_iss_parameter_supported": True,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(keys.algorithms()),
        "claims_supported": [
            "sub",
            "iss",
            "aud",
            "exp",
            "iat",
            "auth_time",
            "nonce",
            "name",
            "email",
            "email_verified",
        ],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "prompt_values_supported": ["none", "consent"],
    }


async def show_openid_configuration(rules: OAuthRules, keys: SigningKeys) -> dict[str, Any]:
    """Say where everything is and what is supported, to clients of OpenID Connect."""
    return metadata_of(rules, keys)


async def show_authorization_server(rules: OAuthRules, keys: SigningKeys) -> dict[str, Any]:
    """Say where everything is and what is supported, to clients of OAuth 2.0."""
    return metadata_of(rules, keys)


async def show_keys(keys: SigningKeys) -> dict[str, Any]:
    """Show the public keys that tokens are signed with: those to come, and those that still count."""
    found: dict[str, Any] = msgspec.json.decode(keys.public_jwks())
    return found
