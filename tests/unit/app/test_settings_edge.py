"""Settings of what faces browsers and proxies."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainstay.app.doctor import diagnose
from mainstay.app.doors import admin_options, options_of
from mainstay.app.settings import Settings, examine, load

SAFE = {
    "MAINSTAY_DATABASE_URL": "sqlite:////var/lib/shop.sqlite",
    "MAINSTAY_SEALING_SECRET": "Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU",
}


def settings(folder: Path, toml: str = "", **environ: str) -> Settings:
    (folder / "mainstay.toml").write_text(toml)
    return load(folder, environ={**SAFE, **environ})


def faults(folder: Path, toml: str) -> dict[str, str]:
    (folder / "mainstay.toml").write_text(toml)
    return {fault.key: str(fault) for fault in examine(folder, environ=SAFE)[1]}


def test_production_tells_browsers_to_use_tls_and_development_does_not(tmp_path: Path) -> None:
    production = options_of(settings(tmp_path)).security
    development = options_of(settings(tmp_path, MAINSTAY_PROFILE="development", MAINSTAY_DATABASE_URL="")).security
    assert production is not None
    assert development is not None
    assert (production.hsts_max_age, development.hsts_max_age) == (31_536_000, 0)
    assert options_of(settings(tmp_path, "security.hsts_seconds = 0")).security.hsts_max_age == 0  # type: ignore[union-attr]  # on


def test_the_headers_are_the_teams_to_change(tmp_path: Path) -> None:
    toml = 'security.frame_options = ""\nsecurity.resource_policy = "cross-origin"\nsecurity.hsts_subdomains = true'
    found = options_of(settings(tmp_path, toml)).security
    assert found is not None
    assert (found.frame_options, found.resource_policy, found.hsts_subdomains) == ("", "cross-origin", True)
    assert options_of(settings(tmp_path, "security.enabled = false")).security is None


def test_hosts_proxies_and_origins(tmp_path: Path) -> None:
    toml = """
        http.hosts = ["api.shop.example", "*.shop.example"]
        http.trusted_proxies = ["10.0.0.0/8"]
        http.proxy_header = "forwarded"
        cors.origins = ["https://*.shop.example"]
        cors.expose = ["X-Total"]
        cors.private_network = true
    """
    found = options_of(settings(tmp_path, toml))
    assert found.hosts == ("api.shop.example", "*.shop.example")
    assert found.proxy_header == "forwarded"
    assert found.cors is not None
    assert (found.cors.expose, found.cors.private_network) == (("X-Total",), True)


@pytest.mark.parametrize(
    ("toml", "key", "words"),
    [
        ('cors.origins = ["null"]', "cors.origins", "sandboxed"),
        ('cors.origins = ["https://shop.example/"]', "cors.origins", "without a path"),
        ('cors.origins = ["https://Shop.example"]', "cors.origins", "lower case"),
        ('cors.origins = ["https://shop.example:443"]', "cors.origins", "usual port"),
        ('cors.origins = ["https://*"]', "cors.origins", "scheme"),
        ('cors.origins = ["*", "https://shop.example"]', "cors.origins", "keep one"),
        ('cors.origins = ["*"]\ncors.credentials = true', "cors.origins", "act as its visitor"),
        ('http.hosts = ["https://shop.example"]', "http.hosts", "without a scheme"),
        ('http.hosts = ["shop.example/a"]', "http.hosts", "api.shop.example"),
        ('http.trusted_proxies = ["everybody"]', "http.trusted_proxies", "network"),
        ('security.content_policy = "a\\nb"', "security", "content_policy"),
        ("security.hsts_preload = true", "security.hsts_preload", "subdomains"),
        ('security.resource_policy = "all"', "security.resource_policy", "one of"),
        ("security.hsts_seconds = -1", "security.hsts_seconds", "whole number"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, toml: str, key: str, words: str) -> None:
    found = faults(tmp_path, toml)
    assert list(found) == [key]
    assert words in found[key]


def test_an_admin_door_of_this_machine_answers_for_its_own_names_only(tmp_path: Path) -> None:
    here = settings(tmp_path, 'http.hosts = ["api.shop.example"]')
    options = admin_options(here, options_of(here))
    assert (options.hosts, options.host_addresses, options.cors) == (("localhost", "*.localhost"), True, None)
    elsewhere = settings(tmp_path, 'admin.host = "0.0.0.0"\nhttp.hosts = ["api.shop.example"]')
    assert admin_options(elsewhere, options_of(elsewhere)).hosts == ()


def test_the_doctor_advises_to_name_the_hosts(tmp_path: Path) -> None:
    def told(toml: str) -> list[tuple[str, str]]:
        (tmp_path / "mainstay.toml").write_text(toml)
        return [(one.state, one.message) for one in diagnose(tmp_path, environ=SAFE) if one.about == "hosts"]

    assert [state for state, _ in told("")] == ["warning"]
    assert told('http.hosts = ["api.shop.example"]') == [("fine", "answered for: api.shop.example")]
