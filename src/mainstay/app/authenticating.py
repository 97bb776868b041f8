"""What tells who calls, put together: keys of the settings, issuers that are trusted by their URL, sealed text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from mainstay.app.credentials import Credentials
from mainstay.app.issuers import http_client, trusting
from mainstay.app.settings import SettingFault, Settings, SettingsRefused
from mainstay.kernel.bind import Bound
from mainstay.kernel.providers import Resolver
from mainstay.model.operation import OperationKind, SelfAuthenticated, Signed
from mainstay.model.policy import anyone
from mainstay.ports.clock import Clock
from mainstay.ports.observer import Observer
from mainstay.ports.tokens import TokenVerifier

if TYPE_CHECKING:
    from mainstay.adapters.crypto.sealer import AeadSealer
    from mainstay.adapters.jose.verifier import JwtVerifier

Companion = Callable[[], AbstractAsyncContextManager[None]]
"""What lives as long as the application, beside it."""


def make_sealer(credentials: Credentials) -> AeadSealer:
    """Return what seals text that leaves the service and comes back."""
    from mainstay.adapters.crypto.sealer import AeadSealer

    return AeadSealer(credentials.sealing)


def own_verifier(settings: Settings, credentials: Credentials, clock: Clock) -> JwtVerifier | None:
    """Return what verifies tokens by the keys of the settings, if there are any. Raises ``SettingsRefused``."""
    if not credentials.keys:
        return None
    from mainstay.adapters.jose import KeyRefused
    from mainstay.adapters.jose.verifier import JwtVerifier

    auth = settings.auth
    try:
        return JwtVerifier(
            credentials.keys,
            issuer=credentials.issuer,
            audience=credentials.audience,
            clock=clock,
            leeway=auth.leeway,
            roles_claim=auth.roles_claim,
            tenant_claim=auth.tenant_claim,
            cache_size=auth.cache_size,
        )
    except (KeyRefused, ValueError) as error:
        fault = SettingFault("auth", settings.source("auth.keys"), str(error))
        raise SettingsRefused([fault], settings.profile) from None


def trusted_verifier(
    settings: Settings,
    own: TokenVerifier | None,
    known: Mapping[Any, Resolver],
    clock: Clock,
    observer: Observer,
    companions: list[Companion],
) -> TokenVerifier | None:
    """Return what verifies tokens by the keys of the settings, and by those of the issuers that are trusted."""
    if not settings.auth.issuers:
        return own
    issuers = trusting(settings, own, http_client(known), clock, observer)
    companions.append(issuers.living)
    return issuers


def check_tokens(bound: Bound, settings: Settings) -> None:
    """Refuse a service that asks who calls, and has no key to tell by."""
    if bound.ports.tokens is not None:
        return
    names = _guarded(bound)
    if names:
        some = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        fault = SettingFault(
            "auth.key",
            settings.source("auth.key"),
            f"no token can be verified, and {some} ask who calls",
            "set MAINSTAY_AUTH_KEY (or auth.keys), auth.issuer and auth.audience; or trust an issuer: [[auth.issuers]]",
        )
        raise SettingsRefused([fault], settings.profile)


def _guarded(bound: Bound) -> Sequence[str]:
    """Return the names of the operations that not everybody may call."""
    return [
        one.name
        for one in bound.operations
        if one.operation.kind is not OperationKind.CONSUMER
        and one.operation.allow != anyone
        and not isinstance(one.operation.allow, Signed | SelfAuthenticated)
    ]
