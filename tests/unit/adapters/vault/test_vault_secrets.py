"""Secrets in Vault: who asks, how long that is good, which engine a path is of, and what is said when it fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import make_pair
from vault_double import VaultDouble, vault_double

from mainstay.adapters.vault.secrets import ByAppRole, ByKubernetes, ByToken, Login, VaultSecrets
from mainstay.ports.secrets import SecretUnreadable
from mainstay.testing.fixed import FixedClock


@pytest.fixture
def vault() -> Iterator[VaultDouble]:
    with vault_double() as double:
        double.documents["kv/shop"] = {"password": "first", "port": 5432}
        yield double


def source(
    vault: VaultDouble, login: Login | None = None, clock: FixedClock | None = None, **options: Any
) -> VaultSecrets:
    read = (clock or FixedClock()).monotonic
    return VaultSecrets(vault.url, login or ByToken(lambda: "root"), seconds=5, clock=read, **options)


def test_a_document_has_its_members_as_text(vault: VaultDouble) -> None:
    made = source(vault)
    assert made.read("kv/shop").members == {"password": "first", "port": "5432"}
    assert made.read("kv/shop").seconds is None
    assert vault.asked.count("GET sys/internal/ui/mounts/kv/shop") == 1
    made.close()


def test_what_an_engine_lends_is_new_each_time(vault: VaultDouble) -> None:
    made = source(vault)
    first, second = (made.read("database/creds/shop") for _ in range(2))
    assert (first.members, first.seconds) == ({"username": "u1", "password": "p1"}, 60)
    assert second.members["username"] == "u2"
    made.close()


def test_a_log_in_is_renewed_at_half_of_its_time(vault: VaultDouble) -> None:
    clock = FixedClock()
    vault.roles["role"] = "proof"
    made = source(vault, ByAppRole("role", lambda: "proof", ""), clock)
    for seconds, log_ins in ((0, 1), (1799, 1), (2, 2), (0, 2)):
        clock.advance(seconds)
        made.read("kv/shop")
        assert vault.asked.count("POST auth/approle/login") == log_ins
    made.close()


def test_a_log_in_that_was_taken_back_is_made_anew(vault: VaultDouble) -> None:
    vault.roles["role"] = "proof"
    made = source(vault, ByAppRole("role", lambda: "proof", "mine"))
    made.read("kv/shop")
    vault.tokens.clear()
    assert made.read("kv/shop").members["password"] == "first"
    assert vault.asked.count("POST auth/mine/login") == 2
    vault.roles["role"] = "other"
    vault.tokens.clear()
    with pytest.raises(SecretUnreadable, match="does not understand the request"):
        made.read("kv/shop")
    made.close()


def test_a_token_is_the_one_of_now_and_lasts(vault: VaultDouble) -> None:
    clock, now = FixedClock(), ["mine"]
    vault.tokens = {"mine": {"renewable": True, "ttl": 100}, "next": {"renewable": False, "ttl": 100}}
    made = source(vault, ByToken(lambda: now[0]), clock)
    made.read("kv/shop")
    assert "POST auth/token/renew-self" in vault.asked
    now[0] = "next"
    del vault.tokens["mine"]
    made.read("kv/shop")
    clock.advance(51)
    made.read("kv/shop")
    assert vault.asked.count("GET auth/token/lookup-self") == 3
    made.close()


def test_a_pod_proves_itself_by_the_token_of_now(vault: VaultDouble, tmp_path: Path) -> None:
    vault.roles["shop"] = "jwt"
    (tmp_path / "token").write_text("jwt\n")
    made = source(vault, ByKubernetes("shop", tmp_path / "token", ""))
    assert made.read("kv/shop").members["password"] == "first"
    assert "POST auth/kubernetes/login" in vault.asked
    made.close()
    made = source(vault, ByKubernetes("shop", tmp_path / "none", ""))
    with pytest.raises(SecretUnreadable, match="the pod's token is not at"):
        made.read("kv/shop")
    made.close()


def test_what_fails_is_said_in_words(vault: VaultDouble) -> None:
    made = source(vault)
    vault.documents["kv/gone"] = {"deleted": True}
    for path, says in (
        ("kv/none", "there is nothing at this path"),
        ("kv/gone", "there is nothing at this path"),
        ("other/x", r"refuses it to this service \(403\)"),
    ):
        with pytest.raises(SecretUnreadable, match=says):
            made.read(path)
    vault.sealed = True
    with pytest.raises(SecretUnreadable, match="the server is sealed"):
        made.read("kv/shop")
    vault.sealed = False
    vault.garbage = True
    with pytest.raises(SecretUnreadable, match="the server's answer is none of Vault's"):
        made.read("kv/shop")
    made.close()


def test_a_server_that_is_not_there_is_said_not_to_be(vault: VaultDouble) -> None:
    made = VaultSecrets("http://127.0.0.1:9", ByToken(lambda: "x"), seconds=1, clock=FixedClock().monotonic)
    with pytest.raises(SecretUnreadable, match="the server is not reached: ConnectionError"):
        made.read("kv/shop")
    made.close()


def test_nobody_else_is_shown_the_token(vault: VaultDouble, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with vault_double() as other:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, other.url)
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("VAULT_TOKEN", "of the environment")
        made = source(vault, namespace="team")
        assert made.read("kv/shop").members["password"] == "first"
        assert vault.namespaces == {"team"}
        vault.redirect = other.url
        with pytest.raises(SecretUnreadable, match="none of Vault's"):
            made.read("kv/shop")
        assert other.asked == []
        made.close()


def test_a_server_shows_a_certificate_that_is_believed(vault: VaultDouble, tmp_path: Path) -> None:
    pair = make_pair(tmp_path)
    made = VaultSecrets(
        vault.url.replace("http:", "https:"),
        ByToken(lambda: "root"),
        seconds=2,
        clock=FixedClock().monotonic,
        certificates=pair.certificate,
    )
    with pytest.raises(SecretUnreadable, match="the server is not reached: SSLError"):
        made.read("kv/shop")
    assert made._client.session.verify == str(pair.certificate)
    made.close()
