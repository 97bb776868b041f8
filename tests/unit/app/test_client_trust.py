"""Mutual TLS in the settings: what it needs, what it cannot go with, and files that are not right."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from certificates import make_pair
from client_certificates import Authority

from mainstay.app.client_trust import ClientTrust
from mainstay.app.settings import Settings, SettingsRefused, examine, load
from mainstay.app.tls import context_of, tls_files

SERVER = 'http.tls.certificate = "server.crt"\nhttp.tls.key = "server.key"\n'
ASKED = f'{SERVER}http.tls.client_certificates = "optional"\nhttp.tls.client_ca = "authority.crt"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_pair(tmp_path)
    return tmp_path


def faults(folder: Path, toml: str) -> dict[str, str]:
    (folder / "mainstay.toml").write_text(toml)
    return {fault.key: fault.problem for fault in examine(folder, environ={"MAINSTAY_PROFILE": "test"})[1]}


def settings(folder: Path, toml: str) -> Settings:
    (folder / "mainstay.toml").write_text(toml)
    return load(folder, environ={}, profile="test")


def refused(folder: Path, toml: str) -> list[str]:
    with pytest.raises(SettingsRefused) as caught:
        tls_files(settings(folder, toml))
    return [f"{fault.key}: {fault.problem}" for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("toml", "key", "problem"),
    [
        ('http.tls.client_ca = "a"', "http.tls.client_ca", "nobody is asked for a certificate"),
        ('http.tls.client_crl = "a"', "http.tls.client_crl", "nobody is asked for a certificate"),
        ('http.tls.client_certificates = "required"', "http.tls.client_certificates", "there is no TLS"),
        (
            f'{SERVER}http.tls.client_certificates = "required"',
            "http.tls.client_certificates",
            "it is not said whose are believed",
        ),
        (f'{ASKED}http.server = "granian"', "http.tls.client_certificates", "granian tells nobody whose they are"),
        (f'{ASKED}http.server = "uvicorn"', "http.tls.client_certificates", "uvicorn tells nobody whose they are"),
        (f'{ASKED}http.tls.minimum = "1.2"', "http.tls.minimum", "a session of TLS 1.2 goes on after"),
        ('http.tls.client_identity = "email"', "http.tls.client_identity", "expected"),
    ],
)
def test_what_it_needs_and_what_it_cannot_go_with(folder: Path, toml: str, key: str, problem: str) -> None:
    found = faults(folder, toml)
    assert list(found) == [key]
    assert problem in found[key]


def test_nobody_is_asked_unless_that_is_set(folder: Path) -> None:
    files = tls_files(settings(folder, SERVER))
    assert files is not None
    assert files.clients is None
    assert context_of(files).verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize(("wanted", "mode"), [("optional", ssl.CERT_OPTIONAL), ("required", ssl.CERT_REQUIRED)])
def test_clients_are_asked_and_get_no_ticket(folder: Path, wanted: str, mode: ssl.VerifyMode) -> None:
    authority = Authority(folder)
    files = tls_files(settings(folder, ASKED.replace("optional", wanted)))
    assert files is not None
    assert files.clients == ClientTrust(authority.certificate, None, wanted == "required")
    assert files.paths == [folder / "server.crt", folder / "server.key", authority.certificate]
    context = context_of(files)
    assert (context.verify_mode, context.num_tickets) == (mode, 0)
    assert context.options & ssl.OP_NO_TICKET
    assert not context.verify_flags & ssl.VERIFY_CRL_CHECK_LEAF


def test_authorities_that_are_none_or_have_expired(folder: Path) -> None:
    assert refused(folder, ASKED) == [
        f"http.tls.client_ca: {folder / 'authority.crt'} cannot be read: No such file or directory"
    ]
    (folder / "authority.crt").write_text("nothing")
    assert refused(folder, ASKED) == [f"http.tls.client_ca: {folder / 'authority.crt'} holds no certificate"]
    Authority(folder, days=-1)
    (told,) = refused(folder, ASKED)
    assert "has expired: no client would be let in" in told


def test_lists_of_what_was_revoked(folder: Path) -> None:
    authority = Authority(folder)
    toml = f'{ASKED}http.tls.client_crl = "revoked.pem"'
    path = folder / "revoked.pem"
    assert refused(folder, toml) == [f"http.tls.client_crl: {path} cannot be read: No such file or directory"]
    path.write_text("nothing")
    assert refused(folder, toml) == [f"http.tls.client_crl: {path} holds no list of revoked certificates"]
    path.write_text("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")
    assert refused(folder, toml) == [f"http.tls.client_crl: {path} holds no list of revoked certificates"]
    authority.revoke(path, [], days=-1)
    (told,) = refused(folder, toml)
    assert "its clients would all be turned away" in told
    authority.revoke(path, [])
    files = tls_files(settings(folder, toml))
    assert files is not None
    assert files.paths[-1] == path
    assert context_of(files).verify_flags & ssl.VERIFY_CRL_CHECK_LEAF


def test_all_that_is_wrong_is_told_at_once(folder: Path) -> None:
    (folder / "server.key").unlink()
    assert [told.partition(":")[0] for told in refused(folder, ASKED)] == ["http.tls.key", "http.tls.client_ca"]
