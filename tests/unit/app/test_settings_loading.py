"""Settings come from five places, one over the other, and are judged as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mainstay.app.settings import Settings, SettingsRefused, examine, load

SECRET = "Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU"
SAFE = {"MAINSTAY_DATABASE_URL": "sqlite:////var/lib/shop.sqlite", "MAINSTAY_SEALING_SECRET": SECRET}


def write(folder: Path, toml: str = "", dotenv: str | None = None) -> Path:
    (folder / "mainstay.toml").write_text(toml)
    if dotenv is not None:
        (folder / ".env").write_text(dotenv)
    return folder


def faults(folder: Path, environ: dict[str, str] | None = None, **named: Any) -> dict[str, str]:
    """The faults by key, each as it is printed."""
    return {fault.key: str(fault) for fault in examine(folder, environ=environ or {}, **named)[1]}


def develop(folder: Path, environ: dict[str, str] | None = None, **named: Any) -> Settings:
    return load(folder, environ={"MAINSTAY_PROFILE": "development", **(environ or {})}, **named)


def test_each_source_wins_over_the_ones_before_it(tmp_path: Path) -> None:
    write(tmp_path)
    assert develop(tmp_path).http.port == 8000
    write(tmp_path, "[http]\nport = 1")
    assert develop(tmp_path).http.port == 1
    write(tmp_path, "[http]\nport = 1\n[profile.development.http]\nport = 2\n[profile.test.http]\nport = 9")
    assert develop(tmp_path).http.port == 2
    (tmp_path / ".env").write_text("MAINSTAY_HTTP_PORT=3")
    assert develop(tmp_path).http.port == 3
    assert develop(tmp_path, {"MAINSTAY_HTTP_PORT": "4"}).http.port == 4
    settings = develop(tmp_path, {"MAINSTAY_HTTP_PORT": "4"}, flags={"http.port": 5})
    assert settings.http.port == 5
    assert settings.source("http.port") == "--port"


def test_the_source_of_a_setting_is_known(tmp_path: Path) -> None:
    write(
        tmp_path,
        "[profile.development.http]\nhost = 'localhost'",
        "MAINSTAY_HTTP_PORT=3\nexport MAINSTAY_DEBUG=true # x",
    )
    settings = develop(tmp_path, {"MAINSTAY_LOG_LEVEL": "debug"})
    assert settings.source("http.host") == "mainstay.toml:profile.development.http.host"
    assert settings.source("http.port") == ".env:MAINSTAY_HTTP_PORT"
    assert settings.source("log.level") == "MAINSTAY_LOG_LEVEL"
    assert settings.source("http.backlog") == "the default of the development profile"
    assert settings.debug is True


def test_the_file_is_found_in_a_folder_above(tmp_path: Path) -> None:
    inner = write(tmp_path, 'service = "shop.service:shop"') / "a" / "b"
    inner.mkdir(parents=True)
    settings = develop(inner)
    assert settings.root == tmp_path
    assert settings.service == "shop.service:shop"


def test_without_a_profile_it_is_production(tmp_path: Path) -> None:
    settings = load(write(tmp_path), environ=SAFE)
    assert settings.profile == "production"
    assert settings.database.synchronous == "full"
    assert settings.shown("auto") == "admin"
    assert settings.admin_open


@pytest.mark.parametrize("dotenv", ["MAINSTAY_HTTP_PORT=1", "MAINSTAY_PROFILE=development", "this is no .env file"])
def test_production_ignores_dotenv(tmp_path: Path, dotenv: str) -> None:
    settings = load(write(tmp_path, dotenv=dotenv), environ=SAFE)
    assert (settings.profile, settings.http.port) == ("production", 8000)


def test_a_clone_may_choose_its_profile_and_the_environment_may_overrule_it(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / ".mainstay").mkdir()
    (tmp_path / ".mainstay" / "profile").write_text("development\n")
    assert load(tmp_path, environ={}).profile == "development"
    assert load(tmp_path, environ={}).profile_source == ".mainstay/profile"
    assert load(tmp_path, environ={**SAFE, "MAINSTAY_PROFILE": "production"}).profile == "production"
    assert load(tmp_path, environ={"MAINSTAY_PROFILE": "production"}, profile="test").profile == "test"


def test_a_file_for_all_environments_does_not_choose_the_profile(tmp_path: Path) -> None:
    found = faults(write(tmp_path, 'profile = "development"'), SAFE)
    assert "MAINSTAY_PROFILE" in found["profile"]


def test_an_unknown_profile_is_production_and_a_fault(tmp_path: Path) -> None:
    settings, found = examine(write(tmp_path), environ={**SAFE, "MAINSTAY_PROFILE": "develpment"})
    assert settings.profile == "production"
    assert [str(fault) for fault in found] == [
        "profile (MAINSTAY_PROFILE): there is no such profile; did you mean development?"
    ]
    assert "profile.staging" in faults(write(tmp_path, "[profile.staging]\nx = 1"), SAFE)


def test_all_faults_are_told_at_once_with_key_and_source(tmp_path: Path) -> None:
    write(tmp_path, '[http]\nport = "eighty"\nprot = 1\nworkers = 0\n[lgo]\nlevel = "info"\n[cors]\norigins = 1')
    found = faults(tmp_path, {**SAFE, "MAINSTAY_LOG_LEVEL": "loud", "MAINSTAY_LOG_LEVL": "1"})
    assert found == {
        "http.port": "http.port (mainstay.toml:http.port): expected a whole number from 0 to 65535",
        "http.prot": "http.prot (mainstay.toml:http.prot): there is no such setting; did you mean http.port?",
        "http.workers": "http.workers (mainstay.toml:http.workers): expected a whole number from 1 to 256",
        "lgo": "lgo (mainstay.toml:lgo.level): there is no such setting; did you mean log?",
        "cors.origins": "cors.origins (mainstay.toml:cors.origins): expected a list, each a text",
        "log.level": "log.level (MAINSTAY_LOG_LEVEL): expected one of debug, error, info, warning",
        "MAINSTAY_LOG_LEVL": (
            "MAINSTAY_LOG_LEVL (MAINSTAY_LOG_LEVL): there is no such setting; did you mean MAINSTAY_LOG_LEVEL?"
        ),
    }


def test_values_of_the_environment_are_read_as_the_field_needs(tmp_path: Path) -> None:
    settings = develop(
        write(tmp_path),
        {
            "MAINSTAY_ADMIN_ENABLED": "true",
            "MAINSTAY_HTTP_HEADER_SECONDS": "2.5",
            "MAINSTAY_CORS_ORIGINS": "https://a.example, https://b.example",
            "MAINSTAY_SECRET_PAYMENTS_WEBHOOK": "12345",
        },
    )
    assert settings.admin.enabled is True
    assert settings.http.header_seconds == 2.5
    assert settings.cors.origins == ["https://a.example", "https://b.example"]
    assert settings.secrets["payments_webhook"].reveal() == "12345"


def test_variables_of_others_are_left_alone(tmp_path: Path) -> None:
    environ = {
        "MAINSTAY_PYTHON": "python3",
        "MAINSTAY_TEST_RUN": "1",
        "MAINSTAY_SERVICE_HOST": "127.0.0.9",
        "MAINSTAY_SHOP_SERVICE_PORT": "8000",
        "MAINSTAY_SHOP_SERVICE_PORT_HTTP": "8000",
        "MAINSTAY_SHOP_PORT": "tcp://127.0.0.9:8000",
        "MAINSTAY_PORT_8000_TCP_ADDR": "127.0.0.9",
        "HOME": "/nowhere",
    }
    assert faults(write(tmp_path), {**SAFE, **environ}) == {}


def test_a_broken_file_is_told_with_its_line(tmp_path: Path) -> None:
    found = faults(write(tmp_path, "[http]\nport = = 1"), SAFE)
    assert "line 2" in found["mainstay.toml"]


def test_a_line_of_dotenv_that_is_none_is_told(tmp_path: Path) -> None:
    write(tmp_path, dotenv="# a comment\n\nMAINSTAY_HTTP_PORT='81'\nwhat is this\nOTHER=1")
    settings, found = examine(tmp_path, environ={"MAINSTAY_PROFILE": "development"})
    assert [fault.source for fault in found] == [".env line 4"]
    assert settings.http.port == 81


def test_lists_of_tables(tmp_path: Path) -> None:
    write(tmp_path, f'[[auth.keys]]\nvalue = "{SECRET}"\nkid = "a"\n[[demo.tokens]]\nname = "customer"\nsubject = "1"')
    settings = develop(tmp_path, {"MAINSTAY_AUTH_ISSUER": "i", "MAINSTAY_AUTH_AUDIENCE": "a"})
    assert [(key.kid, key.value.reveal()) for key in settings.auth.keys] == [("a", SECRET)]
    assert settings.demo.tokens[0].name == "customer"
    assert settings.demo.tokens[0].roles == []


def test_what_is_missing_in_a_list_of_tables_is_told_with_its_place(tmp_path: Path) -> None:
    found = faults(write(tmp_path, '[[demo.tokens]]\nname = "customer"\n[demo.x]\ny = 1'), SAFE)
    assert "demo.tokens[0].subject" in found
    assert "demo.x" in found


def test_a_table_where_a_value_belongs_and_the_other_way_round(tmp_path: Path) -> None:
    found = faults(write(tmp_path, "http = 1\n[debug]\nx = 1\n[auth]\nkeys = 3"), SAFE)
    assert set(found) == {"http", "debug", "auth.keys"}


class TestSecrets:
    def test_a_secret_may_stand_in_a_file_of_its_own(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text(SECRET + "\n")
        write(tmp_path, 'auth.key_file = "key"\nauth.issuer = "i"\nauth.audience = ["a"]\nsecrets.hook_file = "key"')
        settings = develop(tmp_path, {"MAINSTAY_SEALING_SECRET_FILE": str(tmp_path / "key")})
        assert settings.auth.key.reveal() == SECRET
        assert settings.sealing.secret.reveal() == SECRET
        assert settings.secrets["hook"].reveal() == SECRET

    def test_a_secret_of_a_higher_source_hides_the_file_of_a_lower_one(self, tmp_path: Path) -> None:
        write(tmp_path, 'sealing.secret_file = "not-there"')
        assert develop(tmp_path, {"MAINSTAY_SEALING_SECRET": SECRET}).sealing.secret.reveal() == SECRET

    def test_files_that_cannot_be_used(self, tmp_path: Path) -> None:
        (tmp_path / "empty").write_text("\n")
        write(
            tmp_path,
            'auth.key_file = "not-there"\nsealing.secret_file = "empty"\nsecrets.a = "1"\nsecrets.a_file = "x"',
        )
        found = faults(tmp_path, {"MAINSTAY_PROFILE": "development"})
        assert "No such file" in found["auth.key_file"]
        assert "empty" in found["sealing.secret_file"]
        assert "both" in found["secrets.a"]

    def test_no_fault_and_no_repr_shows_a_secret(self, tmp_path: Path) -> None:
        secret = "hunter2-hunter2"
        toml = (
            f'[auth]\nkey = "{secret}"\nissuer = ["{secret}"]\n[sealing]\nsecret = "{secret}"\nprevious = ["{secret}"]'
        )
        environ = {
            "MAINSTAY_DATABASE_URL": f"sqlite://u:{secret}@h/x",
            "MAINSTAY_SECRET_A": secret,
            "MAINSTAY_DEBUG": secret,
        }
        settings, found = examine(write(tmp_path, toml), environ=environ)
        with pytest.raises(SettingsRefused) as refused:
            load(tmp_path, environ=environ)
        assert found
        for text in (repr(settings), *map(str, found), *map(repr, found), str(refused.value), repr(refused.value)):
            assert secret not in text


class TestProduction:
    @pytest.mark.parametrize(
        ("key", "environ"),
        [
            ("debug", {"MAINSTAY_DEBUG": "true"}),
            ("database.synchronous", {"MAINSTAY_DATABASE_SYNCHRONOUS": "off"}),
            ("database.synchronous", {"MAINSTAY_DATABASE_SYNCHRONOUS": "normal"}),
            ("database.create", {"MAINSTAY_DATABASE_CREATE": "true"}),
            ("database.url", {"MAINSTAY_DATABASE_URL": "memory:"}),
            ("database.url", {"MAINSTAY_DATABASE_URL": ""}),
            ("sealing.secret", {"MAINSTAY_SEALING_SECRET": ""}),
            ("sealing.secret", {"MAINSTAY_SEALING_SECRET": "changeme"}),
            ("sealing.secret", {"MAINSTAY_SEALING_SECRET": "a" * 40}),
            ("sealing.secret", {"MAINSTAY_SEALING_SECRET": f"development-only-{SECRET}"}),
            ("auth.key", {"MAINSTAY_AUTH_KEY": f"development-only-{SECRET}"}),
            ("auth.key", {"MAINSTAY_AUTH_KEY": "too short"}),
            ("auth.issuer", {"MAINSTAY_AUTH_KEY": SECRET, "MAINSTAY_AUTH_AUDIENCE": "a"}),
            ("secrets.hook", {"MAINSTAY_SECRET_HOOK": "secret"}),
            ("cors.origins", {"MAINSTAY_CORS_ORIGINS": "*", "MAINSTAY_CORS_CREDENTIALS": "true"}),
            ("cors.origins", {"MAINSTAY_CORS_ORIGINS": "https://shop.example/path"}),
            ("limits.engine", {"MAINSTAY_LIMITS_ENGINE": "memory", "MAINSTAY_HTTP_WORKERS": "2"}),
            ("admin.port", {"MAINSTAY_ADMIN_PORT": "8000"}),
            ("http.trusted_proxies", {"MAINSTAY_HTTP_TRUSTED_PROXIES": "proxy.example"}),
            ("service", {"MAINSTAY_SERVICE": "shop.service"}),
            ("http.queue_target_ms", {"MAINSTAY_HTTP_QUEUE_TARGET_MS": "0.5"}),
            ("http.queue_target_ms", {"MAINSTAY_HTTP_QUEUE_TARGET_MS": "-1"}),
            ("http.max_concurrency", {"MAINSTAY_HTTP_MAX_CONCURRENCY": "0"}),
        ],
    )
    def test_unsafe_values_are_refused(self, tmp_path: Path, key: str, environ: dict[str, str]) -> None:
        write(tmp_path)
        assert faults(tmp_path, SAFE) == {}
        assert key in faults(tmp_path, {**SAFE, **environ})

    def test_a_public_key_is_no_weak_secret(self, tmp_path: Path) -> None:
        pem = "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----"
        environ = {"MAINSTAY_AUTH_KEY": pem, "MAINSTAY_AUTH_ISSUER": "i", "MAINSTAY_AUTH_AUDIENCE": "a"}
        assert faults(write(tmp_path), {**SAFE, **environ}) == {}

    def test_any_host_may_be_listened_on(self, tmp_path: Path) -> None:
        assert load(write(tmp_path), environ={**SAFE, "MAINSTAY_HTTP_HOST": "0.0.0.0"}).http.host == "0.0.0.0"


@pytest.mark.parametrize("profile", ["development", "test"])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "shop.example"])
def test_other_profiles_listen_on_this_machine_only(tmp_path: Path, profile: str, host: str) -> None:
    found = faults(write(tmp_path), {"MAINSTAY_HTTP_HOST": host, "MAINSTAY_ADMIN_HOST": host}, profile=profile)
    assert set(found) == {"http.host", "admin.host"}
    for own in ("127.0.0.1", "127.0.0.2", "::1", "localhost"):
        assert faults(tmp_path, {"MAINSTAY_HTTP_HOST": own}, profile=profile) == {}
