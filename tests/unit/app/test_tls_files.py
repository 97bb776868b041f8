"""Certificate and key are looked at closely: what is wrong is told before anything listens."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from certificates import Pair, make_pair

from mainstay.app.doctor import diagnose
from mainstay.app.settings import SettingsRefused, load
from mainstay.app.tls import context_of, tls_files


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return make_pair(tmp_path)


def refused(folder: Path, **tls: str) -> list[str]:
    settings = load(folder, environ={f"MAINSTAY_HTTP_TLS_{k.upper()}": v for k, v in tls.items()}, profile="test")
    with pytest.raises(SettingsRefused) as caught:
        tls_files(settings)
    return [f"{fault.key}: {fault.problem}" for fault in caught.value.faults]


def test_without_a_certificate_there_is_no_tls(tmp_path: Path) -> None:
    assert tls_files(load(tmp_path, environ={}, profile="test")) is None
    assert refused(tmp_path, key="server.key") == ["http.tls.key: there is no certificate beside it"]


@pytest.mark.parametrize(("minimum", "version"), [("1.3", ssl.TLSVersion.TLSv1_3), ("1.2", ssl.TLSVersion.TLSv1_2)])
def test_a_pair_is_taken_from_paths_beside_the_settings(
    tmp_path: Path, pair: Pair, minimum: str, version: ssl.TLSVersion
) -> None:
    environ = {
        "MAINSTAY_HTTP_TLS_CERTIFICATE": "server.crt",
        "MAINSTAY_HTTP_TLS_KEY": "server.key",
        "MAINSTAY_HTTP_TLS_MINIMUM": minimum,
    }
    files = tls_files(load(tmp_path, environ=environ, profile="test"))
    assert files is not None
    assert (files.certificate, files.key, files.minimum) == (pair.certificate, pair.key, minimum)
    assert timedelta(days=29) < files.expires - datetime.now(UTC) < timedelta(days=31)
    assert context_of(files).minimum_version == version


def test_both_may_be_in_one_file(tmp_path: Path, pair: Pair) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    (fault,) = refused(tmp_path, certificate="both.pem")
    assert "everybody on this machine may read the key in" in fault
    both.chmod(0o640)
    settings = load(tmp_path, environ={"MAINSTAY_HTTP_TLS_CERTIFICATE": "both.pem"}, profile="test")
    files = tls_files(settings)
    assert files is not None
    assert files.key == files.certificate == both


def test_files_that_are_not_there_are_all_told(tmp_path: Path) -> None:
    assert refused(tmp_path, certificate="a.crt", key="b.key") == [
        f"http.tls.key: {tmp_path / 'b.key'} cannot be read: No such file or directory",
        f"http.tls.certificate: {tmp_path / 'a.crt'} cannot be read: No such file or directory",
    ]


def test_what_is_no_certificate_and_what_is_no_key(tmp_path: Path, pair: Pair) -> None:
    (tmp_path / "empty").write_text("nothing\n")
    (tmp_path / "empty").chmod(0o600)
    told = refused(tmp_path, certificate="empty", key="server.key")
    assert told[0] == f"http.tls.certificate: {tmp_path / 'empty'} holds no certificate"
    assert refused(tmp_path, certificate="server.crt", key="empty") == [
        f"http.tls.key: {tmp_path / 'empty'} holds no private key"
    ]


def test_a_key_of_another_certificate(tmp_path: Path, pair: Pair) -> None:
    other = make_pair(tmp_path, "other")
    assert refused(tmp_path, certificate="server.crt", key="other.key") == [
        f"http.tls.key: the key in {other.key} is not that of the certificate"
    ]


@pytest.mark.parametrize(("days", "told"), [((-9, -1), "expired on"), ((1, 9), "is good from")])
def test_a_certificate_that_is_not_good_now(tmp_path: Path, days: tuple[float, float], told: str) -> None:
    make_pair(tmp_path, days=days)
    (fault,) = refused(tmp_path, certificate="server.crt", key="server.key")
    assert told in fault


def test_a_locked_key_needs_its_password_and_shows_it_nowhere(tmp_path: Path) -> None:
    make_pair(tmp_path, password="correct horse")
    given = {"certificate": "server.crt", "key": "server.key"}
    for password in ({}, {"key_password": "battery staple"}):
        (fault,) = refused(tmp_path, **given, **password)
        assert "is locked, and this password does not open it" in fault
        assert "staple" not in fault
    environ = {f"MAINSTAY_HTTP_TLS_{k.upper()}": v for k, v in {**given, "key_password": "correct horse"}.items()}
    files = tls_files(load(tmp_path, environ=environ, profile="test"))
    assert files is not None
    assert "horse" not in repr(files)
    context_of(files)


def test_the_doctor_says_how_long_it_is_good(tmp_path: Path) -> None:
    for days, state in ((30, "fine"), (5, "warning"), (-0.5, "wrong")):
        make_pair(tmp_path, days=(-1, days))
        environ = {
            "MAINSTAY_PROFILE": "development",
            "MAINSTAY_HTTP_TLS_CERTIFICATE": "server.crt",
            "MAINSTAY_HTTP_TLS_KEY": "server.key",
        }
        found = [one for one in diagnose(tmp_path, environ=environ) if one.about == "tls"]
        assert [one.state for one in found] == [state]
