"""Whose tokens are believed and what seals cursors: from the settings, in development from the keys of this clone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

import msgspec

from mainstay.app import devkey
from mainstay.app.refusal import Refusal
from mainstay.app.settings import SettingFault, Settings, SettingsRefused
from mainstay.ports.secrets import LivingSecret

if TYPE_CHECKING:
    from mainstay.adapters.jose import Key
    from mainstay.app.settings.model import Sealing

MAX_SECRETS = 8
"""As many as a sealer takes."""

DEVELOPER = uuid5(NAMESPACE_URL, "mainstay:developer")
"""The subject of a development token that names none: the same in every clone, so that its rows stay its own."""


class Credentials(msgspec.Struct, frozen=True):
    """Keys and what goes with them. ``development`` says that they are those of this clone."""

    keys: tuple[Any, ...]  # of adapters.jose.Key
    issuer: str
    audience: tuple[str, ...]
    sealing: tuple[str, ...]
    development: bool

    def __repr__(self) -> str:
        return f"<Credentials of {self.issuer or 'nobody'}, {len(self.keys)} keys>"


class TokenRefused(Refusal):
    """No token is made."""


def resolve(settings: Settings) -> Credentials:
    """Return the credentials that count. Raises ``SettingsRefused`` with every key that cannot be used."""
    auth, sealing = settings.auth, settings.sealing
    secrets = _sealing(sealing)
    given = bool(auth.key.reveal() or auth.keys)
    if settings.is_production or (given and secrets):
        return Credentials(_keys(settings), auth.issuer, tuple(auth.audience), secrets, development=False)
    own = devkey.ensure_keys(settings.state)
    if not secrets:
        secrets = (own.sealing,)
    if given:
        return Credentials(_keys(settings), auth.issuer, tuple(auth.audience), secrets, development=False)
    from mainstay.adapters.jose import load_secret

    key = load_secret(own.signing, kid=devkey.KEY_ID)
    audience = tuple(auth.audience) or (devkey.AUDIENCE,)
    return Credentials((key,), auth.issuer or devkey.ISSUER, audience, secrets, development=True)


def _sealing(sealing: Sealing) -> tuple[str, ...]:
    """Return what seals, and what still opens: the values before the last change of those kept elsewhere among them."""
    given = (sealing.secret, *sealing.previous)
    former = [secret.former for secret in given if isinstance(secret, LivingSecret) and secret.former]
    return tuple(dict.fromkeys([*filter(None, (secret.reveal() for secret in given)), *former]))[:MAX_SECRETS]


def _keys(settings: Settings) -> tuple[Key, ...]:
    from mainstay.adapters.jose import KeyRefused, load_keys

    auth = settings.auth
    entries = [(f"auth.keys[{index}].value", key.value, key.algorithm, key.kid) for index, key in enumerate(auth.keys)]
    if auth.key.reveal():
        entries.append(("auth.key", auth.key, auth.algorithm, None))
    keys: list[Key] = []
    faults: list[SettingFault] = []
    for name, value, algorithm, kid in entries:
        try:
            keys += load_keys(value.reveal(), algorithm=algorithm, kid=kid)
        except KeyRefused as refusal:
            faults.append(SettingFault(name, settings.source(name), str(refusal)))
    if faults:
        raise SettingsRefused(faults, settings.profile)
    return tuple(keys)


def development_token(
    settings: Settings,
    *,
    now: float,
    subject: str | None = None,
    roles: Iterable[str] = (),
    scopes: Iterable[str] = (),
    tenant: str | None = None,
    claims: Mapping[str, Any] | None = None,
    hours: float = devkey.TOKEN_HOURS,
) -> str:
    """Return a token that this service believes. Raises ``TokenRefused`` in production, or without a private key."""
    from mainstay.adapters.jose import mint

    if settings.is_production:
        raise TokenRefused(
            f"production issues no tokens ({settings.profile_source}): they come from your identity provider",
            "for development: MAINSTAY_PROFILE=development, or --profile development",
        )
    if not 0 < hours <= 24 * 31:
        raise TokenRefused(f"a token for {hours:g} hours: expected more than 0 and at most {24 * 31}")
    credentials = resolve(settings)
    key = next((key for key in credentials.keys if key.can_sign), None)
    if key is None:
        raise TokenRefused("the keys of the settings are public ones: only who holds the private one can make tokens")
    try:
        return mint(
            key,
            issuer=credentials.issuer,
            audience=credentials.audience[0],
            subject=subject or str(DEVELOPER),
            now=now,
            lifetime=hours * 3600,
            roles=roles,
            scopes=scopes,
            tenant=tenant,
            claims=claims,
        )
    except ValueError as error:
        raise TokenRefused(str(error)) from None


__all__ = ["DEVELOPER", "Credentials", "TokenRefused", "development_token", "resolve"]
