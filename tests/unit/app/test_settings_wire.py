"""Settings of slow and greedy clients, and of the PROXY protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainstay.app.doors import admin_options, options_of
from mainstay.app.settings import examine, load

SAFE = {
    "MAINSTAY_DATABASE_URL": "sqlite:////var/lib/shop.sqlite",
    "MAINSTAY_SEALING_SECRET": "Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU",
}
LISTED = 'http.proxy_protocol = true\nhttp.trusted_proxies = ["10.0.0.0/8"]\n'


def test_bounds_and_rates_reach_the_door(tmp_path: Path) -> None:
    names = ("first_byte_seconds = 7", "min_body_rate = 1", "min_write_rate = 0", "max_connections = 5")
    toml = "\n".join(f"http.{name}" for name in (*names, "max_connections_per_address = 0"))
    (tmp_path / "mainstay.toml").write_text(toml)
    found = options_of(load(tmp_path, environ=SAFE))
    assert (found.first_byte_timeout, found.min_body_rate, found.min_write_rate) == (7, 1, 0)
    assert (found.max_connections, found.max_connections_per_address) == (5, 0)


def test_the_proxy_protocol_is_spoken_at_the_main_address_only(tmp_path: Path) -> None:
    (tmp_path / "mainstay.toml").write_text(LISTED)
    settings = load(tmp_path, environ=SAFE)
    assert options_of(settings).proxy_protocol
    assert not admin_options(settings, options_of(settings)).proxy_protocol


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("http.proxy_protocol = true", "nobody is listed"),
        (LISTED + 'http.server = "uvicorn"', "uvicorn does not know it"),
        (LISTED + 'http.tls.certificate = "server.pem"', "before TLS"),
    ],
)
def test_a_proxy_protocol_that_cannot_be_is_refused(tmp_path: Path, toml: str, said: str) -> None:
    (tmp_path / "mainstay.toml").write_text(toml)
    faults = {fault.key: str(fault) for fault in examine(tmp_path, environ=SAFE)[1]}
    assert said in faults["http.proxy_protocol"]
