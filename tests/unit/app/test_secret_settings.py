"""Secrets by reference in settings: looked up at start, refused where they are not to be had, and never shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mainstay import Secret
from mainstay.app import registry
from mainstay.app.doctor import diagnose
from mainstay.app.settings import SettingFault, Settings, examine, listing, load, references
from mainstay.ports.secrets import LivingSecret, SecretDocument, SecretSource, SecretUnreadable

KEY = "Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU"
MARK = "CANARY-7f3a9c5e1b"


def examined(
    folder: Path, toml: str = "", environ: Mapping[str, str] | None = None, **named: Any
) -> tuple[Settings, list[SettingFault]]:
    (folder / "mainstay.toml").write_text(toml)
    return examine(folder, environ=environ or {}, profile=named.pop("profile", "test"), **named)


EVERYWHERE = """
    [database]
    url = "env://DATABASE"
    [auth]
    issuer = "i"
    audience = ["a"]
    [[auth.keys]]
    value = "file://key"
    [[auth.keys]]
    value_file = "other"
    [sealing]
    secret = "file://{folder}/key"
    previous = ["literal literal literal literal lit", "env://SEAL"]
    [secrets]
    bank = "env://BANK"
    plain = "text"
"""
ENVIRON = {
    "DATABASE": "sqlite:///x.sqlite",
    "SEAL": "s" * 40,
    "BANK": "b",
    "MAINSTAY_SECRET_MAIL": "file://key",
    "MAINSTAY_HTTP_TLS_KEY_PASSWORD_FILE": "key",
}


@pytest.fixture
def everywhere(tmp_path: Path) -> Settings:
    (tmp_path / "key").write_text("of a file\n")
    (tmp_path / "other").write_text("of another\n")
    return examined(tmp_path, EVERYWHERE.format(folder=tmp_path), ENVIRON)[0]


def test_every_secret_may_be_a_reference_wherever_it_stands(everywhere: Settings) -> None:
    settings = everywhere
    assert settings.database.url.reveal() == "sqlite:///x.sqlite"
    assert [key.value.reveal() for key in settings.auth.keys] == ["of a file", "of another"]
    assert settings.sealing.secret.reveal() == "of a file"
    assert [type(secret) for secret in settings.sealing.previous] == [Secret, LivingSecret]
    assert settings.sealing.previous[1].reveal() == "s" * 40
    given = {name: secret.reveal() for name, secret in settings.secrets.items()}
    assert given == {"bank": "b", "plain": "text", "mail": "of a file"}
    assert settings.http.tls.key_password.reveal() == "of a file"


def test_each_reference_knows_the_setting_that_it_is_of(everywhere: Settings, tmp_path: Path) -> None:
    assert {f"{secret.setting} {secret.reference}" for secret in everywhere.references} == {
        "database.url env://DATABASE",
        "auth.keys[0].value file://key",
        "auth.keys[1].value file://other",
        f"sealing.secret file://{tmp_path}/key",
        "sealing.previous[1] env://SEAL",
        "secrets.bank env://BANK",
        "secrets.mail file://key",
        "http.tls.key_password file://key",
    }


@pytest.mark.parametrize("url", ["sqlite:///x.sqlite", "memory:", "postgresql://u:p@h/d", "mongodb+srv://h/d"])
def test_a_value_of_another_scheme_stands_for_itself(url: str, tmp_path: Path) -> None:
    settings, _ = examined(tmp_path, f'database.url = "{url}"')
    assert settings.database.url == Secret(url)
    assert settings.references == ()


def test_the_url_of_objects_has_a_scheme_of_that_name_itself(tmp_path: Path) -> None:
    settings, faults = examined(tmp_path, 'blobs.url = "file:///objects"')
    assert (settings.blobs.url, settings.references, faults) == (Secret("file:///objects"), (), [])
    settings, faults = examined(tmp_path, 'blobs.url = "env://BLOBS"', {"BLOBS": "file:///objects"})
    assert (settings.blobs.url.reveal(), faults) == ("file:///objects", [])


def test_what_a_reference_leads_to_is_no_reference_itself(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("env://HOME")
    settings, _ = examined(tmp_path, 'secrets.a = "file://key"\nsecrets.b_file = "key"', {"HOME": "hidden"})
    assert [settings.secrets[name].reveal() for name in "ab"] == ["env://HOME"] * 2


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("env://NOT_SET", "there is no such variable"),
        ("env://EMPTY", "it is empty"),
        ("file://none", "it cannot be read: No such file"),
        ("vault://kv/shop#key", "secrets_from.vault.address names no server"),
        ("aws-sm://shop#key", "no client of AWS can be made: NoRegionError"),
    ],
)
def test_a_start_without_a_secret_is_refused(
    reference: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    _, faults = examined(tmp_path, f'secrets.bank = "{reference}"', {"EMPTY": "", "OTHER": MARK})
    assert [fault.key for fault in faults] == ["secrets.bank"]
    assert faults[0].problem.startswith(f"{reference}: {says}")
    assert faults[0].source == "mainstay.toml:secrets.bank"


def test_the_item_of_a_list_is_named_with_its_place(tmp_path: Path) -> None:
    _, faults = examined(tmp_path, 'sealing.previous = ["env://NONE"]')
    assert [(fault.key, fault.source) for fault in faults] == [
        ("sealing.previous[0]", "mainstay.toml:sealing.previous")
    ]


def test_a_secret_by_reference_is_as_strong_as_one_by_value(tmp_path: Path) -> None:
    toml = 'database.url = "sqlite:///x"\nsealing.secret = "env://SEAL"\nsecrets.bank = "env://BANK"'
    _, faults = examined(tmp_path, toml, {"SEAL": "short", "BANK": "changeme"}, profile="production")
    assert {fault.key: fault.problem for fault in faults} == {
        "sealing.secret": "it has 5 bytes, at least 32 are needed",
        "secrets.bank": "it is a default that everybody knows",
    }


def test_what_is_needed_to_look_up_leads_to_this_machine_only(tmp_path: Path) -> None:
    toml = 'secrets_from.vault.token = "vault://kv/token#value"\nsecrets.a = "env://A"'
    settings, faults = examined(tmp_path, toml, {"A": "b"})
    assert [fault.key for fault in faults] == ["secrets_from.vault.token"]
    assert "may lead to this machine only" in faults[0].problem
    assert settings.secrets["a"].reveal() == "b"


@pytest.mark.parametrize(
    ("auth", "lacks"),
    [
        ("", "secrets_from.vault.token is not set"),
        ('auth = "approle"', "secrets_from.vault.role_id is not set"),
        ('auth = "approle"\nrole_id = "r"', "secrets_from.vault.secret_id is not set"),
        ('auth = "kubernetes"', "secrets_from.vault.role is not set"),
        ('auth = "kubernetes"\nrole = "r"\ntoken_path = "none"', "the pod's token is not at"),
    ],
)
def test_who_asks_a_vault_must_be_said(auth: str, lacks: str, tmp_path: Path) -> None:
    toml = f'secrets.a = "vault://kv/x#y"\n[secrets_from.vault]\naddress = "http://127.0.0.1:1"\n{auth}'
    _, faults = examined(tmp_path, toml)
    assert [fault.key for fault in faults] == ["secrets.a"]
    assert lacks in faults[0].problem


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("http://vault.internal:8200", True),
        ("http://[::1", True),
        ("https://vault.internal:8200", False),
        ("http://127.0.0.1:8200", False),
        ("http://localhost:8200", False),
    ],
)
def test_production_shows_its_token_to_nobody_on_the_way(address: str, fault: bool, tmp_path: Path) -> None:
    toml = f'database.url = "sqlite:///x"\nsealing.secret = "{KEY}"\nsecrets_from.vault.address = "{address}"'
    _, faults = examined(tmp_path, toml, profile="production")
    assert [one.key for one in faults] == ["secrets_from.vault.address"] * fault


def test_a_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = registry.Entry("no_such_package.at_all:make", "vault")
    monkeypatch.setattr(registry, "BUILT_IN", {**registry.BUILT_IN, "secrets.vault": entry})
    _, faults = examined(tmp_path, 'secrets.a = "vault://kv/x#y"')
    assert "pip install 'mainstay[vault]'" in faults[0].problem


class Counting(SecretSource):
    """A place that counts how often it is asked."""

    def __init__(self, documents: Mapping[str, SecretDocument]) -> None:
        self.documents = documents
        self.asked: list[str] = []
        self.closed = False

    def read(self, path: str) -> SecretDocument:
        self.asked.append(path)
        if path not in self.documents:
            raise SecretUnreadable("there is nothing")
        return self.documents[path]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    made = Counting({"kv/shop": SecretDocument(members={"user": "u", "password": "p"})})
    monkeypatch.setattr(references, "find", lambda _kind, _name: lambda *_: made)
    return made


def test_a_document_is_read_once_for_all_that_stand_in_it(counting: Counting, tmp_path: Path) -> None:
    toml = 'secrets.a = "vault://kv/shop#user"\nsecrets.b = "vault://kv/shop#password"\nsecrets.c = "vault://kv/none#x"'
    settings, faults = examined(tmp_path, toml + '\nsecrets.d = "vault://kv/none#y"')
    assert [settings.secrets[name].reveal() for name in "ab"] == ["u", "p"]
    assert counting.asked == ["kv/shop", "kv/none"]
    assert counting.closed
    assert [fault.key for fault in faults] == ["secrets.c", "secrets.d"]


def test_look_ups_end_in_their_time(counting: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "monotonic", lambda: 11.0 if counting.asked else 0.0)
    _, faults = examined(tmp_path, 'secrets.a = "vault://kv/shop#user"\nsecrets.b = "vault://kv/other#x"')
    assert [(fault.key, fault.problem.partition(": ")[2]) for fault in faults] == [
        ("secrets.b", "the look-ups before it took more than 10 s")
    ]


def test_commands_that_run_nothing_look_nothing_up(counting: Counting, tmp_path: Path) -> None:
    settings, _ = examined(tmp_path, 'secrets.a = "vault://kv/shop#user"', secrets=False)
    assert settings.secrets["a"].reveal() == ""
    assert counting.asked == []


def test_a_list_of_settings_shows_the_reference_and_no_value(tmp_path: Path) -> None:
    toml = 'sealing.previous = ["env://SEAL"]\nsecrets.bank = "env://BANK"\nauth.key = "env://KEY"'
    environ = {"SEAL": MARK * 3, "BANK": MARK, "KEY": MARK * 3}
    settings, _ = examined(tmp_path, toml, environ)
    shown = {entry.key: entry.value for entry in listing(settings)}
    assert shown["secrets.bank"] == "*** (env://BANK)"
    assert shown["auth.key"] == "*** (env://KEY)"
    assert shown["sealing.previous"] == "*** (env://SEAL)"
    assert MARK not in repr(shown)
    assert MARK not in repr(settings)


def test_the_doctor_counts_references_and_warns_of_values_only(tmp_path: Path) -> None:
    toml = f'database.url = "sqlite:///x"\nsealing.secret = "env://SEAL"\nsecrets.a = "env://A"\nsecrets.b = "{MARK}"'
    (tmp_path / "mainstay.toml").write_text(toml)
    findings = diagnose(tmp_path, profile="production", environ={"SEAL": KEY, "A": MARK})
    told = [f"{one.about} {one.state} {one.message}" for one in findings]
    assert "secrets fine 2 by env; looked up again every 60 s" in told
    assert [line for line in told if "stands in mainstay.toml" in line] == [
        "settings warning secrets.b: a secret stands in mainstay.toml"
    ]
    assert MARK not in repr(findings)


def test_settings_of_the_places_are_checked(tmp_path: Path) -> None:
    settings = load(tmp_path, profile="test", environ={"MAINSTAY_SECRETS_FROM_REFRESH_SECONDS": "0"})
    assert settings.secrets_from.refresh_seconds == 0
    _, faults = examined(tmp_path, 'secrets_from.vault.auth = "ldap"\nsecrets_from.refresh_seconds = -1')
    assert sorted(fault.key for fault in faults) == ["secrets_from.refresh_seconds", "secrets_from.vault.auth"]


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("postgresql://u:p@h:5432,[::1]:5433/d?sslmode=require", True),
        ("postgresql://u:p%2Fq@h/d", True),
        ("postgresql:///d?host=/run/postgresql", True),
        ("sqlite:///desk.sqlite", True),
        ("memory:", True),
        (f"postgresql://u:{MARK}/x@h/d", False),
        (f"postgresql://u:{MARK}#x@h/d", False),
        (f"mysql://u:p@h:{MARK}/d", False),
        (f"mysql://u:p@h:1:{MARK}/d", False),
        (f"mongodb://u:p@h:{MARK}/d", False),
    ],
)
def test_a_url_whose_password_would_be_taken_for_a_port_is_refused(url: str, right: bool, tmp_path: Path) -> None:
    _, faults = examined(tmp_path, "database.url = 'env://URL'\ndatabase.replica_url = 'env://URL'", {"URL": url})
    assert [fault.key for fault in faults] == ([] if right else ["database.url", "database.replica_url"])
    assert MARK not in repr(faults)
