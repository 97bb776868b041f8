"""Settings that are right one by one and wrong together, or unsafe where the service is in production."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from mainstay.app.settings.accounts import account_rules
from mainstay.app.settings.edge import edge_rules
from mainstay.app.settings.faults import SettingFault
from mainstay.app.settings.issuers import issuer_rules
from mainstay.app.settings.model import Settings, is_loopback
from mainstay.app.settings.outside_rules import outgoing_rules, vault_rules
from mainstay.model.values import Secret

DEVELOPMENT_MARK = "development-only-"
"""What every secret that is made for development begins with, so that production knows it."""

MIN_SECRET_BYTES = 32
_KNOWN = frozenset(
    {
        "admin",
        "change-me",
        "change_me",
        "changeit",
        "changeme",
        "default",
        "dev",
        "development",
        "example",
        "insecure",
        "letmein",
        "mainstay",
        "password",
        "secret",
        "test",
        "your-secret-key",
    }
)
_SERVICE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.%\w]*\]|[^\[\]:@]*)(?::[0-9]{0,5})?")
_MAKE = "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"

Rule = Callable[[Settings], Iterator[SettingFault]]


def weakness(secret: Secret[str]) -> str | None:
    """Return why a secret may not guard anything, or None."""
    value = secret.reveal()
    if value.startswith(DEVELOPMENT_MARK):
        return "it is a secret made for development"
    if value.strip().lower() in _KNOWN:
        return "it is a default that everybody knows"
    return None


def weakness_of_key(secret: Secret[str]) -> str | None:
    """Return why a secret may not be a key, or None."""
    raw = secret.reveal().encode()
    known = weakness(secret)
    if known is not None:
        return known
    if len(raw) < MIN_SECRET_BYTES:
        return f"it has {len(raw)} bytes, at least {MIN_SECRET_BYTES} are needed"
    return "it repeats few different characters and can be guessed" if len(set(raw)) < 8 else None


def check(settings: Settings) -> list[SettingFault]:
    """Return all that the rules find."""
    rules = (*_ALWAYS, *(_PRODUCTION if settings.is_production else _ELSEWHERE))
    return [fault for rule in rules for fault in rule(settings)]


def _fault(settings: Settings, key: str, problem: str, remedy: str) -> SettingFault:
    return SettingFault(key, settings.source(key), problem, remedy)


def _service(settings: Settings) -> Iterator[SettingFault]:
    if settings.service and not _SERVICE.fullmatch(settings.service):
        yield _fault(settings, "service", "expected MODULE:NAME", 'for example "shop.service:shop"')


def _queue(settings: Settings) -> Iterator[SettingFault]:
    if 0 < settings.http.queue_target_ms < 1:
        yield _fault(
            settings,
            "http.queue_target_ms",
            "so short a queue is what a busy event loop has at any time",
            "give it 1 or more (20 is the default), or 0 for queues of any length",
        )


def _server(settings: Settings) -> Iterator[SettingFault]:
    http = settings.http
    if http.proxy_protocol and http.server != "native":
        yield _fault(settings, "http.proxy_protocol", f"{http.server} does not know it", 'use http.server = "native"')
    elif http.proxy_protocol and http.tls.certificate:
        yield _fault(
            settings, "http.proxy_protocol", "it comes before TLS", "let the proxy end TLS, or turn one of them off"
        )


def _ports(settings: Settings) -> Iterator[SettingFault]:
    if settings.admin_open and settings.admin.port and settings.admin.port == settings.http.port:
        yield _fault(settings, "admin.port", "it is the port of the service itself", "choose another")


def _key_forms(settings: Settings) -> Iterator[SettingFault]:
    auth = settings.auth
    if auth.key.reveal() and auth.keys:
        yield _fault(settings, "auth.key", "both auth.key and auth.keys are given", "keep one of them")
    for index, key in enumerate(auth.keys):
        if not key.value.reveal():
            yield _fault(settings, f"auth.keys[{index}].value", "it is missing", "give value or value_file")
    if auth.key.reveal() or auth.keys:
        for name, value in (("issuer", auth.issuer), ("audience", auth.audience)):
            if not value:
                yield _fault(
                    settings, f"auth.{name}", "tokens cannot be judged without it", f"give the {name} of the tokens"
                )


def _previous(settings: Settings) -> Iterator[SettingFault]:
    earlier = {"sealing.previous": settings.sealing.previous, "encryption.previous": settings.encryption.previous}
    for key, secrets in earlier.items():
        if len(secrets) > 7:
            yield _fault(settings, key, "at most 7 are kept", "drop the oldest")
        if any(len(secret.reveal().encode()) < MIN_SECRET_BYTES for secret in secrets):
            yield _fault(settings, key, f"each needs at least {MIN_SECRET_BYTES} bytes", "drop the short ones")
    if settings.encryption.previous and not settings.encryption.key.reveal():
        yield _fault(settings, "encryption.key", "there are earlier keys, and none for new values", _MAKE)


def _production_switches(settings: Settings) -> Iterator[SettingFault]:
    if settings.debug:
        yield _fault(settings, "debug", "production does not run with it", "remove it")
    if settings.database.synchronous != "full":
        yield _fault(
            settings,
            "database.synchronous",
            "a loss of power would lose writes that were acknowledged",
            "remove it: production is full",
        )
    if settings.database.create:
        yield _fault(
            settings, "database.create", "tables of production come from reviewed migrations", "mainstay db migrate"
        )
    if settings.limits.engine == "memory" and settings.http.workers > 1:
        yield _fault(
            settings,
            "limits.engine",
            f"each of {settings.http.workers} workers would count for itself, and allow that many times the limit",
            "remove it: several workers share one table",
        )


def _production_sessions(settings: Settings) -> Iterator[SettingFault]:
    if settings.sessions.cookie == "plain":
        yield _fault(
            settings,
            "sessions.cookie",
            "a session would travel in the clear, and other hosts of the domain could set one",
            "remove it: production is secure",
        )


def _database_urls(settings: Settings) -> Iterator[SettingFault]:
    """Refuse a URL that some driver would show a part of its password of, where it says that this is no port."""
    database = settings.database
    for name, secret in (
        ("url", database.url),
        ("replica_url", database.replica_url),
        ("direct_url", database.direct_url),
    ):
        authority = _AUTHORITY.match(secret.reveal())
        if authority and any(not _HOST.fullmatch(host) for host in authority[1].rpartition("@")[2].split(",")):
            yield _fault(
                settings,
                f"database.{name}",
                "what stands for its host is none",
                "in user and password write / as %2F, # as %23, ? as %3F, : as %3A and @ as %40",
            )


def _production_database(settings: Settings) -> Iterator[SettingFault]:
    url = settings.database.url.reveal()
    if not url:
        yield _fault(
            settings,
            "database.url",
            "it is not set",
            "for example sqlite:////var/lib/shop/shop.sqlite (MAINSTAY_DATABASE_URL)",
        )
    elif url.startswith("memory"):
        yield _fault(settings, "database.url", "memory forgets every row at the end", "give a database")


def _production_secrets(settings: Settings) -> Iterator[SettingFault]:
    if not settings.sealing.secret.reveal():
        yield _fault(
            settings, "sealing.secret", "it is not set: page cursors need it", f"set MAINSTAY_SEALING_SECRET; {_MAKE}"
        )
    for key, secret in _keys(settings):
        why = weakness_of_key(secret) if _is_shared(secret) else None
        if why is not None:
            yield _fault(settings, key, why, _MAKE)
    for name, secret in settings.secrets.items():
        why = weakness(secret)
        if why is not None:
            yield _fault(settings, f"secrets.{name}", why, "set the real one")


def _keys(settings: Settings) -> Iterator[tuple[str, Secret[str]]]:
    """Give what guards something, where it is set."""
    auth, sealing, encryption = settings.auth, settings.sealing, settings.encryption
    named = [("auth.key", auth.key), ("sealing.secret", sealing.secret), ("encryption.key", encryption.key)]
    named += [(f"auth.keys[{index}].value", key.value) for index, key in enumerate(auth.keys)]
    named += [(f"sealing.previous[{index}]", secret) for index, secret in enumerate(sealing.previous)]
    named += [(f"encryption.previous[{index}]", secret) for index, secret in enumerate(encryption.previous)]
    return ((key, secret) for key, secret in named if secret.reveal())


def _is_shared(secret: Secret[str]) -> bool:
    """Whether it is a shared secret, and not the PEM or JWK text of a key."""
    return not secret.reveal().lstrip().startswith(("-----BEGIN", "{"))


def _elsewhere_is_local(settings: Settings) -> Iterator[SettingFault]:
    for key, host in (("http.host", settings.http.host), ("admin.host", settings.admin.host)):
        if not is_loopback(host):
            yield _fault(
                settings,
                key,
                f"the {settings.profile} profile listens on this machine only: its keys and pages are not for others",
                "use 127.0.0.1, or the production profile",
            )


def _elsewhere_secret(settings: Settings) -> Iterator[SettingFault]:
    for key, secret in (("sealing.secret", settings.sealing.secret), ("encryption.key", settings.encryption.key)):
        if 0 < len(secret.reveal().encode()) < MIN_SECRET_BYTES:
            yield _fault(settings, key, f"at least {MIN_SECRET_BYTES} bytes are needed", _MAKE)


_ALWAYS: tuple[Rule, ...] = (
    _service,
    edge_rules,
    outgoing_rules,
    _database_urls,
    _queue,
    _ports,
    _server,
    _key_forms,
    _previous,
    account_rules,
    issuer_rules,
)
_PRODUCTION: tuple[Rule, ...] = (
    _production_switches,
    _production_sessions,
    _production_database,
    _production_secrets,
    vault_rules,
)
_ELSEWHERE: tuple[Rule, ...] = (_elsewhere_is_local, _elsewhere_secret)
