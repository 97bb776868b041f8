"""The rules of what faces browsers and proxies: origins, hosts, networks, the headers of every answer."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from mainstay.app.settings.faults import SettingFault
from mainstay.app.settings.model import Settings
from mainstay.inbound.http.hosts import HostPolicy
from mainstay.inbound.http.options import Security, origin_fault


def edge_rules(settings: Settings) -> Iterator[SettingFault]:
    """Give every fault of those settings."""
    yield from _cors(settings)
    yield from _proxies(settings)
    yield from _hosts(settings)
    yield from _client_certificates(settings)
    yield from _headers(settings)


def _fault(settings: Settings, key: str, problem: str, remedy: str) -> SettingFault:
    return SettingFault(key, settings.source(key), problem, remedy)


def _cors(settings: Settings) -> Iterator[SettingFault]:
    cors = settings.cors
    if "*" in cors.origins:
        if cors.credentials:
            yield _fault(
                settings,
                "cors.origins",
                "every origin with credentials would let any page act as its visitor",
                "name the origins, or set cors.credentials to false",
            )
        elif len(cors.origins) > 1:
            yield _fault(settings, "cors.origins", "every origin is allowed, and some are named", "keep one of both")
        return
    for origin in cors.origins:
        wrong = origin_fault(origin)
        if wrong is not None:
            yield _fault(settings, "cors.origins", f"an origin is scheme, host and port only: {wrong}", "")
            return


def _proxies(settings: Settings) -> Iterator[SettingFault]:
    for network in settings.http.trusted_proxies:
        try:
            ip_network(network)
        except ValueError:
            yield _fault(
                settings, "http.trusted_proxies", "each must be an address or a network", "for example 10.1.0.0/16"
            )
            return
    if settings.http.proxy_protocol:
        yield from _proxy_protocol(settings)


def _proxy_protocol(settings: Settings) -> Iterator[SettingFault]:
    http = settings.http
    if not http.trusted_proxies:
        yield _fault(settings, "http.proxy_protocol", "nobody is listed who may speak it", "set http.trusted_proxies")
    if http.tls.certificate:
        yield _fault(settings, "http.proxy_protocol", "it comes before TLS", "let the proxy end TLS, or turn one off")


def _hosts(settings: Settings) -> Iterator[SettingFault]:
    try:
        HostPolicy(settings.http.hosts)
    except ValueError:
        yield _fault(
            settings,
            "http.hosts",
            "each must be a host without a scheme or a path",
            "for example api.shop.example, *.shop.example or [2001:db8::1]",
        )


def _client_certificates(settings: Settings) -> Iterator[SettingFault]:
    """Look at what mutual TLS needs, and at what it cannot go with."""
    http, tls = settings.http, settings.http.tls
    asked = tls.client_certificates != "none"
    for name in ("client_ca", "client_crl"):
        if getattr(tls, name) and not asked:
            key = f"http.tls.{name}"
            yield _fault(settings, key, "nobody is asked for a certificate", "set http.tls.client_certificates")
    if not asked:
        return
    key = "http.tls.client_certificates"
    if not tls.certificate:
        yield _fault(settings, key, "there is no TLS to ask for them in", "set http.tls.certificate")
    elif not tls.client_ca:
        yield _fault(settings, key, "it is not said whose are believed", "set http.tls.client_ca")
    if http.server != "native":
        yield _fault(settings, key, f"{http.server} tells nobody whose they are", 'use http.server = "native"')
    if tls.minimum != "1.3":
        remedy = "remove it: clients that have certificates speak TLS 1.3"
        yield _fault(settings, "http.tls.minimum", "a session of TLS 1.2 goes on after its certificate's end", remedy)


def _headers(settings: Settings) -> Iterator[SettingFault]:
    security = settings.security
    try:
        Security(
            content_policy=security.content_policy,
            frame_options=security.frame_options,
            referrer_policy=security.referrer_policy,
            permissions_policy=security.permissions_policy,
        )
    except ValueError as error:
        yield _fault(settings, "security", str(error).removeprefix("security: "), "")
    if security.hsts_preload and not (security.hsts_subdomains and (security.hsts_seconds or 0) >= 31_536_000):
        yield _fault(
            settings,
            "security.hsts_preload",
            "browsers' lists take a year or more, with subdomains",
            "set security.hsts_subdomains = true, and hsts_seconds to 31536000 or more",
        )
