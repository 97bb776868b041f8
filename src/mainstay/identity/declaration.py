"""What a team says of identity: ``Service("shop", identity=Identity(...))``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mainstay.identity.oauth.declaration import AuthorizationServer, Provider
from mainstay.model.builtin import BuiltIn
from mainstay.model.module import Module
from mainstay.model.policy import Policy

if TYPE_CHECKING:
    from mainstay.identity.accounts.rules import AccountRules


@dataclass(frozen=True, kw_only=True)
class Identity(BuiltIn):
    """Accounts for a service. All times are in seconds.

    ``path`` is where the doors begin. ``sign_up`` "open" lets anybody make an account, "closed" leaves that to
    administrators, which are the callers with the role ``administrator``. ``default_roles`` are those of a new account.
    With ``second_factor`` "required" an account that has none can do nothing but set one up. ``verify_link`` and
    ``reset_link`` are pages of the service's own that letters lead to, with ``{code}`` where the code is to stand; a
    letter shows the code itself where there is none. ``api_key_scopes`` are those that any account may give to its API
    keys. ``providers`` are outside providers that accounts may log in with; ``server`` makes the service a provider for
    others.
    """

    path: str = "/auth"
    sign_up: Literal["open", "closed"] = "open"
    verify_email: bool = True
    administrator: str = "admin"
    default_roles: Sequence[str] = ()
    second_factor: Literal["optional", "required"] = "optional"
    verify_link: str = ""
    reset_link: str = ""
    access_seconds: int = 600  # of an access token
    refresh_seconds: int = 14 * 86_400  # of a refresh token that is not used
    session_seconds: int = 90 * 86_400  # of a log-in, however much it is used
    idle_seconds: int = 12 * 3600  # of a browser's session that is not used
    api_key_scopes: Sequence[str] = ()
    providers: Sequence[Provider] = ()
    server: AuthorizationServer | None = None

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for what cannot be meant, with the name of what was given."""
        if not self.path.startswith("/") or self.path.endswith("/"):
            raise ValueError(f'Identity(path="{self.path}"): it begins with a slash and ends with none, as "/auth"')
        if not self.administrator:
            raise ValueError("Identity(administrator=...): the role of those who administer has a name")
        for name in ("verify_link", "reset_link"):
            link: str = getattr(self, name)
            if link and ("{code}" not in link or any(not sign.isprintable() or sign == " " for sign in link)):
                raise ValueError(f"Identity({name}=...): a URL with {{code}} where the code is to stand")

    def modules(self) -> Sequence[Module]:
        """Return the modules of this declaration: imported now, for who has none pays nothing."""
        from mainstay.identity.accounts.doors import open_doors
        from mainstay.identity.sessions.doors import declare_sessions

        module = Module("identity", title="Identity")
        open_doors(module, self.path, sign_up=self.sign_up == "open", administrator=self.administrator)
        declare_sessions(module, self.path)
        if self.server is not None:
            from mainstay.identity.oauth.module import declare_server

            declare_server(module, self.path, self.administrator)
        if self.providers:
            from mainstay.identity.oauth.module import declare_providers

            declare_providers(module, self.path)
        return (module,)

    def parts(self) -> Sequence[type[Any]]:
        """Return what its use cases are put together from, anew for each call."""
        from mainstay.identity.accounts.doors import PARTS

        parts = list(PARTS)
        if self.server is not None or self.providers:
            from mainstay.identity.oauth.module import PROVIDER_PARTS, SERVER_PARTS

            parts += [*(SERVER_PARTS if self.server is not None else ()), *(PROVIDER_PARTS if self.providers else ())]
        return parts

    def account_rules(self, service: str) -> AccountRules:
        """Return what is said here of accounts, for a service with this title."""
        from mainstay.identity.accounts.rules import AccountRules

        return AccountRules(
            service=service,
            verify_email=self.verify_email,
            default_roles=tuple(self.default_roles),
            second_factor=self.second_factor,
            verify_link=self.verify_link,
            reset_link=self.reset_link,
        )

    def narrowed(self, policy: Policy) -> Policy:
        """Return what ``allow=`` of an operation comes to: where others act for accounts, they have scopes for that."""
        if self.server is None:
            return policy
        from mainstay.identity.oauth.delegation import narrowed

        return narrowed(policy)
