"""The doctor sees what is wrong, says how to mend it, and changes nothing."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mainstay.app.devkey import ensure_keys
from mainstay.app.doctor import Finding, diagnose

SERVICE = """
from mainstay import Module, Service, authenticated
desk = Module("desk")

@desk.query("GET /who", allow=authenticated)
async def who() -> str:
    return "you"

team = Service("team", modules=[desk])
"""
SECRET = "Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU"
DEVELOPMENT = {"MAINSTAY_PROFILE": "development", "MAINSTAY_HTTP_PORT": "0", "MAINSTAY_DATABASE_URL": "memory:"}


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    path = list(sys.path)
    yield
    sys.path[:] = path
    sys.modules.pop("desk_service", None)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "desk_service.py").write_text(SERVICE)
    (tmp_path / "mainstay.toml").write_text('service = "desk_service:team"\n')
    return tmp_path


def wrong(findings: list[Finding], state: str = "wrong") -> list[str]:
    return [f"{one.about}: {one.message} -> {one.remedy}" for one in findings if one.state == state]


def test_nothing_is_wrong_and_nothing_is_changed(project: Path) -> None:
    before = sorted(project.rglob("*"))
    findings = diagnose(project, environ=DEVELOPMENT)
    assert wrong(findings) == []
    looked_at = {"python", "settings", "files", "service", "database", "overload", "ports"}
    assert {one.about for one in findings} == looked_at
    assert [path for path in sorted(project.rglob("*")) if "__pycache__" not in path.parts] == before


def test_a_new_clone_lacks_no_folder(project: Path) -> None:
    """The folder of the development database is made by the first run: what is missing is the migration."""
    (told,) = wrong(diagnose(project, environ={"MAINSTAY_PROFILE": "development", "MAINSTAY_HTTP_PORT": "0"}))
    assert "mainstay db plan" in told


def test_everything_that_is_wrong_is_told_in_one_go(project: Path) -> None:
    ensure_keys(project / ".mainstay")
    (project / ".mainstay" / "dev-key.json").chmod(0o644)
    (project / "desk_service.py").write_text(SERVICE.replace(", allow=authenticated", ""))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        environ = {**DEVELOPMENT, "MAINSTAY_HTTP_PORT": port, "MAINSTAY_LOG_LEVEL": "loud"}
        told = "\n".join(wrong(diagnose(project, environ=environ)))
    for part in ("log.level (MAINSTAY_LOG_LEVEL)", "chmod 600", "desk_service.py:5: who", f"127.0.0.1:{port} already"):
        assert part in told


def test_code_that_does_not_import_is_told_with_its_line(project: Path) -> None:
    (project / "desk_service.py").write_text("x = (")
    findings = diagnose(project, environ=DEVELOPMENT)
    assert any("desk_service.py:1" in text for text in wrong(findings))
    assert any("not looked at" in text for text in wrong(findings, "warning"))


def test_no_service_is_named(tmp_path: Path) -> None:
    assert any("MAINSTAY_SERVICE" in text for text in wrong(diagnose(tmp_path, environ=DEVELOPMENT)))


def test_production_is_looked_at_more_strictly(project: Path) -> None:
    told = "\n".join(wrong(diagnose(project, environ={"MAINSTAY_HTTP_PORT": "0", "MAINSTAY_ADMIN_PORT": "0"})))
    assert "MAINSTAY_SEALING_SECRET" in told
    assert "database.url" in told


def test_production_warns_of_what_is_not_for_it(project: Path) -> None:
    ensure_keys(project / ".mainstay")
    with (project / "mainstay.toml").open("a") as file:
        file.write(f'[sealing]\nsecret = "{SECRET}"\n[database]\nurl = "memory:"\n')
    findings = diagnose(project, environ={"MAINSTAY_HTTP_PORT": "0", "MAINSTAY_ADMIN_PORT": "0"})
    told = "\n".join(wrong(findings, "warning"))
    assert "sealing.secret: a secret stands in mainstay.toml" in told
    assert "there is no key" in told
    assert ".dockerignore" in told
    assert SECRET not in "".join(map(repr, findings))


@pytest.mark.parametrize(
    ("environ", "state", "said"),
    [
        ({}, "fine", "at most 1000 calls are in flight in a worker; a queue of more than 20 ms is cut"),
        ({"MAINSTAY_HTTP_QUEUE_TARGET_MS": "0"}, "warning", "any time"),
        ({"MAINSTAY_HTTP_MAX_CONCURRENCY": "2"}, "warning", "shut out"),
    ],
)
def test_bounds_of_overload(project: Path, environ: dict[str, str], state: str, said: str) -> None:
    (found,) = [one for one in diagnose(project, environ=environ) if one.about == "overload"]
    assert found.state == state
    assert said in found.message


def test_a_secrets_file_that_everybody_may_read(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "key").write_text(SECRET)
    (project / "key").chmod(0o644)
    monkeypatch.setenv("MAINSTAY_SEALING_SECRET_FILE", str(project / "key"))
    assert any("chmod 640" in text for text in wrong(diagnose(project, environ=DEVELOPMENT), "warning"))


@pytest.mark.parametrize("server", ["granian", "uvicorn"])
def test_what_another_server_does_not_keep_is_told_by_name(project: Path, server: str) -> None:
    findings = diagnose(project, environ={**DEVELOPMENT, "MAINSTAY_HTTP_SERVER": server})
    (told,) = wrong(findings, "warning")
    assert told.startswith(f"server: served by {server}, which does not keep ")
    assert "http.write_seconds" in told


def test_the_proxy_protocol_needs_our_server_and_no_tls_of_ours(project: Path) -> None:
    asked = {**DEVELOPMENT, "MAINSTAY_HTTP_PROXY_PROTOCOL": "true", "MAINSTAY_HTTP_TRUSTED_PROXIES": "127.0.0.1"}
    for more in ({"MAINSTAY_HTTP_SERVER": "uvicorn"}, {"MAINSTAY_HTTP_TLS_CERTIFICATE": "a.crt"}):
        assert any("http.proxy_protocol" in one for one in wrong(diagnose(project, environ={**asked, **more})))
