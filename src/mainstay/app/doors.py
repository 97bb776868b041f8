"""The two HTTP doors of an application: the one for its callers, and the one for those who run it.

What the service says of itself (documents, metrics, the reasons of readiness) is for the second in production and for
both elsewhere, unless the settings say otherwise. The verdict of readiness is for everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mainstay.adapters.observe.prometheus import CONTENT_TYPE
from mainstay.app.admitting import make_admission
from mainstay.app.assembly import Application
from mainstay.app.observing import Observing
from mainstay.app.served import served
from mainstay.app.settings import SettingFault, SettingsRefused
from mainstay.app.settings.model import Exposure, Settings, is_loopback
from mainstay.app.siblings import Siblings
from mainstay.inbound.http.codings import CodingMissing, codings
from mainstay.inbound.http.door import Door
from mainstay.inbound.http.hosts import LOCAL
from mainstay.inbound.http.options import Cors, HttpOptions, Security
from mainstay.inbound.http.targets import Document, Page, PageContent
from mainstay.kernel.bound import BoundOperation
from mainstay.kernel.dispatch import dispatch

JSON = "application/json"
_encode = msgspec.json.encode


class Doors(msgspec.Struct, frozen=True):
    """The doors; ``admin`` is None where there is none."""

    main: Door
    admin: Door | None


def make_doors(
    application: Application, *, observing: Observing, siblings: Siblings | None, documents: Mapping[str, Document]
) -> Doors:
    """Return the doors of an application."""
    settings = application.settings
    operations = served(application.bound)
    options = options_of(settings)
    if application.sessions is not None:
        options = msgspec.structs.replace(options, session=application.sessions.cookie)
    admission = make_admission(application, observing.metrics)
    observing.admission = admission

    def door(
        with_routes: list[BoundOperation], shown: Documents, pages: Mapping[str, Page], options: HttpOptions
    ) -> Door:
        ports = application.ports
        return Door(
            with_routes,
            dispatch,
            ids=ports.ids,
            clock=ports.clock,
            observer=ports.observer,
            documents=shown,
            pages=pages,
            options=options,
            admission=admission if with_routes else None,
            mounts=application.mounts if with_routes is operations else (),
            versions=application.service.versions if with_routes is operations else (),
        )

    def pages(*, admin: bool) -> dict[str, Page]:
        return _pages(application, observing, siblings, admin=admin)

    docs = settings.shown(settings.expose.docs)
    main = door(operations, documents if docs == "public" else {}, pages(admin=False), options)
    if not settings.admin_open:
        return Doors(main, None)
    shown = documents if docs != "off" else {}
    return Doors(main, door([], shown, pages(admin=True), admin_options(settings, options)))


Documents = Mapping[str, Document]


def _pages(
    application: Application, observing: Observing, siblings: Siblings | None, *, admin: bool
) -> dict[str, Page]:
    settings = application.settings

    def open_(what: Exposure) -> bool:
        return settings.shown(what) == "public" or (admin and settings.shown(what) == "admin")

    found = {
        "/health": Page(make=_health, probe=True),
        "/ready": _readiness(application, reasons=open_(settings.expose.readiness)),
    }
    if open_(settings.expose.metrics):
        found["/metrics"] = _metrics(observing, siblings)
    return found


def documents_for(application: Application) -> Documents:
    """Return the documents of an application; none are made where the settings show them at no door."""
    settings = application.settings
    shown = settings.shown(settings.expose.docs)
    if shown == "off" or (shown == "admin" and not settings.admin_open):
        return {}
    from mainstay.app.documents import documents_of

    session = "" if application.sessions is None else application.sessions.cookie.name
    broker = settings.events.reveal()
    return documents_of(application.bound, msgpack=settings.http.msgpack, session=session, broker=broker)


def options_of(settings: Settings) -> HttpOptions:
    """Return the door's options as the settings have them."""
    http = settings.http
    return HttpOptions(
        max_body_bytes=http.max_body,
        max_upload_bytes=http.max_upload,
        spool_folder=str(settings.root / http.spool_folder) if http.spool_folder else "",
        max_header_bytes=http.max_header,
        max_headers=http.max_headers,
        max_target_bytes=http.max_target,
        header_timeout=http.header_seconds,
        first_byte_timeout=http.first_byte_seconds,
        body_timeout=http.body_seconds,
        min_body_rate=http.min_body_rate,
        keep_alive_timeout=http.idle_seconds,
        write_timeout=http.write_seconds,
        min_write_rate=http.min_write_rate,
        max_connections=http.max_connections,
        max_connections_per_address=http.max_connections_per_address,
        stream_seconds=http.stream_seconds,
        stream_idle_seconds=http.stream_idle_seconds,
        heartbeat_seconds=http.heartbeat_seconds,
        retry_seconds=http.retry_seconds,
        drain_delay=http.drain_delay,
        drain_timeout=http.drain_seconds,
        backlog=http.backlog,
        trusted_proxies=tuple(http.trusted_proxies),
        proxy_protocol=http.proxy_protocol,
        proxy_header=None if http.proxy_header == "auto" else http.proxy_header,
        hosts=tuple(http.hosts),
        hosts_of_probes=http.hosts_of_probes,
        cors=_cors(settings),
        security=_security(settings),
        **_content(settings),
    )


def _cors(settings: Settings) -> Cors | None:
    cors = settings.cors
    if not cors.origins:
        return None
    return Cors(
        origins=tuple(cors.origins),
        credentials=cors.credentials,
        headers=tuple(cors.headers),
        expose=tuple(cors.expose),
        max_age=cors.max_age,
        private_network=cors.private_network,
    )


def _content(settings: Settings) -> dict[str, Any]:
    """Return the options of the forms that bodies and answers have."""
    http = settings.http
    return {
        "compress": http.compress,
        "codings": _codings(settings),
        "compress_least": http.compress_least,
        "compress_types": tuple(http.compress_types),
        "max_inflation": http.max_inflation,
        "msgpack": http.msgpack,
        "cache_keys": http.cache_keys,
    }


def _security(settings: Settings) -> Security | None:
    chosen = settings.security
    if not chosen.enabled:
        return None
    return Security(
        content_policy=chosen.content_policy,
        frame_options=chosen.frame_options,
        referrer_policy=chosen.referrer_policy,
        opener_policy=chosen.opener_policy,
        resource_policy=chosen.resource_policy,
        permissions_policy=chosen.permissions_policy,
        hsts_max_age=settings.hsts_seconds,
        hsts_subdomains=chosen.hsts_subdomains,
        hsts_preload=chosen.hsts_preload,
    )


def admin_options(settings: Settings, options: HttpOptions) -> HttpOptions:
    """Return the options of the admin door.

    On a loopback address it answers for this machine's own names and for addresses only: a page that a browser shows
    here cannot read it under a name of its own (DNS rebinding). No page of another origin is allowed.
    """
    local = is_loopback(settings.admin.host)
    hosts = LOCAL if local else ()
    return msgspec.structs.replace(
        options, hosts=hosts, host_addresses=local, cors=None, session=None, proxy_protocol=False
    )


def _codings(settings: Settings) -> tuple[str, ...] | None:
    """Return the codings that the settings name; None for all that are installed. Raises ``SettingsRefused``."""
    names = tuple(settings.http.codings) or None
    try:
        codings(names)
    except CodingMissing as error:
        fault = SettingFault("http.codings", settings.source("http.codings"), str(error))
        raise SettingsRefused([fault], settings.profile) from None
    return names


def _health() -> PageContent:
    return 200, JSON, b'{"status":"alive"}'


def _readiness(application: Application, *, reasons: bool) -> Page:
    def make() -> PageContent:
        found = application.ready()
        told: dict[str, object] = {"status": "ready" if found.ready else "not_ready"}
        if reasons:
            told["checks"] = found.checks
        return (200 if found.ready else 503), JSON, _encode(told)

    return Page(make=make, ready=True, probe=True)


def _metrics(observing: Observing, siblings: Siblings | None) -> Page:
    """One scrape for all workers: whoever is asked adds up what the others tell."""

    async def make() -> PageContent:
        snapshots = [observing.metrics.snapshot()] if siblings is None else await siblings.gather()
        return 200, CONTENT_TYPE, observing.render(snapshots)

    return Page(make=make)
