"""The keys of a clone: made once, for one user, whoever comes first; and the tokens made with them."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mainstay.adapters.jose import JwtVerifier
from mainstay.adapters.local.clock import SystemClock
from mainstay.app.credentials import DEVELOPER, TokenRefused, development_token, resolve
from mainstay.app.devkey import ensure_keys, read_keys
from mainstay.app.settings import DEVELOPMENT_MARK, Settings, SettingsRefused, load


def settings_in(folder: Path, profile: str = "development", **environ: str) -> Settings:
    return load(folder, environ={"MAINSTAY_PROFILE": profile, **environ})


def test_keys_are_made_for_this_user_only_and_outside_git(tmp_path: Path) -> None:
    state = tmp_path / ".mainstay"
    keys = ensure_keys(state)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "dev-key.json").stat().st_mode) == 0o600
    assert "*" in (state / ".gitignore").read_text().splitlines()
    assert keys.signing.startswith(DEVELOPMENT_MARK)
    assert keys.signing != keys.sealing
    assert ensure_keys(state) == keys
    assert keys.signing not in repr(keys)
    assert {path.name for path in state.iterdir()} == {".gitignore", "dev-key.json"}


def test_a_folder_that_others_may_look_into_is_closed(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    ensure_keys(tmp_path / "state")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_processes_that_make_keys_at_once_agree(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys; from mainstay.app.devkey import *; print(ensure_keys(pathlib.Path(sys.argv[1])).signing)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "s")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    said = {process.communicate(timeout=60)[0] for process in running}
    assert said == {read_keys(tmp_path / "s").signing + "\n"}


@pytest.mark.parametrize("text", ["", "{}", '{"kind": "mainstay development keys", "signing": "a", "sealing": "b"}'])
def test_a_file_that_holds_no_keys_is_refused(tmp_path: Path, text: str) -> None:
    ensure_keys(tmp_path / "s")
    (tmp_path / "s" / "dev-key.json").write_text(text)
    with pytest.raises(SettingsRefused) as refused:
        ensure_keys(tmp_path / "s")
    assert "remove" in str(refused.value.faults[0])


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    ensure_keys(tmp_path / "s")
    (tmp_path / "s" / "dev-key.json").chmod(0o644)
    with pytest.raises(SettingsRefused) as refused:
        ensure_keys(tmp_path / "s")
    assert "chmod 600" in str(refused.value.faults[0])


def test_a_token_is_believed_by_the_service_of_the_clone(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    clock = SystemClock()
    token = development_token(
        settings, now=clock.time(), roles=["manager"], scopes=["read"], claims={"region": "north"}
    )
    credentials = resolve(settings)
    assert credentials.development
    verifier = JwtVerifier(credentials.keys, issuer=credentials.issuer, audience=credentials.audience, clock=clock)
    principal = verifier.verify(token.encode())
    assert principal.id == DEVELOPER
    assert principal.roles == {"manager"}
    assert principal.scopes == {"read"}
    assert principal.claims["region"] == "north"
    assert principal.claims["exp"] - principal.claims["iat"] == 12 * 3600


def test_production_makes_no_token_and_no_key(tmp_path: Path) -> None:
    secret = "Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU"
    environ = {"MAINSTAY_DATABASE_URL": "sqlite:////x", "MAINSTAY_SEALING_SECRET": secret}
    with pytest.raises(TokenRefused, match="production issues no tokens"):
        development_token(settings_in(tmp_path, "production", **environ), now=0)
    assert resolve(settings_in(tmp_path, "production", **environ)).keys == ()
    assert not (tmp_path / ".mainstay").exists()


@pytest.mark.parametrize("hours", [0, -1, 100_000, float("nan")])
def test_a_token_has_an_end(tmp_path: Path, hours: float) -> None:
    with pytest.raises(TokenRefused, match="hours"):
        development_token(settings_in(tmp_path), now=0, hours=hours)


def test_a_claim_that_has_an_option_of_its_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TokenRefused, match="roles"):
        development_token(settings_in(tmp_path), now=0, claims={"roles": ["manager"]})


def test_keys_of_the_settings_come_before_those_of_the_clone(tmp_path: Path) -> None:
    (tmp_path / "mainstay.toml").write_text('[auth]\nissuer = "shop"\naudience = ["shop"]\n')
    secret = "Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU"
    settings = settings_in(tmp_path, MAINSTAY_AUTH_KEY=secret, MAINSTAY_SEALING_SECRET=secret)
    credentials = resolve(settings)
    assert not credentials.development
    assert not (tmp_path / ".mainstay").exists()
    body = json.loads(__import__("base64").urlsafe_b64decode(development_token(settings, now=0).split(".")[1] + "=="))
    assert body["iss"] == "shop"


def test_every_key_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    toml = (
        '[auth]\nissuer = "i"\naudience = ["a"]\n[[auth.keys]]\nvalue = "short"\n[[auth.keys]]\nvalue = "-----BEGIN X"'
    )
    (tmp_path / "mainstay.toml").write_text(toml)
    with pytest.raises(SettingsRefused) as refused:
        resolve(settings_in(tmp_path))
    assert [fault.key for fault in refused.value.faults] == ["auth.keys[0].value", "auth.keys[1].value"]
