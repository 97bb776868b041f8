"""pip's configuration is understood, and only the locked bytes are taken."""

from __future__ import annotations

import base64
import hashlib
import http.server
import importlib
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

WHEEL = "uv-1.0-py3-none-manylinux_2_17_x86_64.whl"
CONTENT = b"a wheel"
LOGIN = "Basic " + base64.b64encode(b"me:se cret").decode()


@pytest.fixture
def index(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(pytestconfig.rootpath / "scripts/lib"))
    return importlib.import_module("index")


@pytest.fixture
def wheel() -> dict[str, str]:
    return {"url": f"http://127.0.0.1:9/{WHEEL}", "hash": "sha256:" + hashlib.sha256(CONTENT).hexdigest()}


class Mirror(http.server.BaseHTTPRequestHandler):
    """A package index behind a login, with files beside its pages."""

    def do_GET(self) -> None:
        answers = {
            "/simple/uv/": f'<a href="../../files/{WHEEL}#sha256=x">{WHEEL}</a>'.encode(),
            f"/files/{WHEEL}": CONTENT,
        }
        body = answers.get(self.path)
        known = self.headers.get("Authorization") == LOGIN
        self.send_response(401 if not known else 404 if body is None else 200)
        self.end_headers()
        self.wfile.write((body or b"") if known else b"")

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def mirror() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}/simple/"
        server.shutdown()
        thread.join()


def configure(path: Path, text: str) -> dict[str, str]:
    path.write_text(text, encoding="utf-8")
    return {"PIP_CONFIG_FILE": str(path), "HOME": str(path.parent)}


def test_the_environment_wins_over_files_and_install_over_global(index: ModuleType, tmp_path: Path) -> None:
    environ = configure(
        tmp_path / "pip.conf", "[install]\ntimeout = 7\n[global]\nindex_url = a\ntimeout = 5\nproxy = p\n"
    )
    found = index.pip_settings({**environ, "PIP_PROXY": "q"})
    assert {name: found[name] for name in ("index-url", "timeout", "proxy")} == {
        "index-url": "a",
        "timeout": "7",
        "proxy": "q",
    }


def test_a_broken_file_is_named(index: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(index.SetupError, match=r"pip\.conf is no pip configuration"):
        index.pip_settings(configure(tmp_path / "pip.conf", "no section\n"))


def test_uv_hears_what_pip_was_told(index: ModuleType, tmp_path: Path) -> None:
    text = "[global]\nindex-url = http://m/simple\nextra-index-url =\n  http://a\n  http://b\ncert = c.pem\nproxy = http://p\n"
    found = index.uv_environment(configure(tmp_path / "pip.conf", text))
    assert found["UV_DEFAULT_INDEX"] == "http://m/simple"
    assert found["UV_INDEX"] == "http://a http://b"
    assert (found["SSL_CERT_FILE"], found["HTTPS_PROXY"]) == ("c.pem", "http://p")
    assert index.has_own_index(found)


def test_what_uv_was_told_itself_stands(index: ModuleType) -> None:
    environ = {"PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": "http://pip", "UV_DEFAULT_INDEX": "http://uv"}
    assert index.uv_environment(environ)["UV_DEFAULT_INDEX"] == "http://uv"


def test_without_configuration_the_lock_file_names_the_source(index: ModuleType) -> None:
    assert not index.has_own_index(index.uv_environment({"PIP_CONFIG_FILE": "/dev/null"}))


def test_a_folder_that_is_not_there_is_not_passed_on(index: ModuleType, tmp_path: Path) -> None:
    environ = {"PIP_CONFIG_FILE": "/dev/null", "PIP_FIND_LINKS": f"{tmp_path} {tmp_path}/missing"}
    assert index.uv_environment(environ)["UV_FIND_LINKS"] == str(tmp_path)


def test_a_wheel_comes_from_the_mirror_with_its_login(
    index: ModuleType, wheel: dict[str, str], mirror: str, tmp_path: Path
) -> None:
    index.fetch(wheel, tmp_path / "w", {"UV_DEFAULT_INDEX": f"http://me:se%20cret@{mirror}"})
    assert (tmp_path / "w").read_bytes() == CONTENT


def test_a_login_may_stand_in_netrc(index: ModuleType, wheel: dict[str, str], mirror: str, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text('machine 127.0.0.1 login me password "se cret"\n')
    (tmp_path / "netrc").chmod(0o600)
    environ = {"UV_DEFAULT_INDEX": f"http://{mirror}", "NETRC": str(tmp_path / "netrc")}
    index.fetch(wheel, tmp_path / "w", environ)
    assert (tmp_path / "w").read_bytes() == CONTENT


def test_a_refused_login_says_what_to_look_at(
    index: ModuleType, wheel: dict[str, str], mirror: str, tmp_path: Path
) -> None:
    with pytest.raises(index.SetupError, match=r"401.*\n.*PIP_CERT"):
        index.fetch(wheel, tmp_path / "w", {"UV_DEFAULT_INDEX": f"http://{mirror}", "HOME": str(tmp_path)})


def test_other_bytes_than_the_locked_are_refused(index: ModuleType, wheel: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / WHEEL).write_bytes(b"something else")
    with pytest.raises(index.SetupError, match="it is refused"):
        index.fetch(wheel, tmp_path / "w", {"UV_FIND_LINKS": str(tmp_path)})
    assert not (tmp_path / "w").exists()


def test_without_an_index_the_file_must_lie_in_a_folder(
    index: ModuleType, wheel: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(index.SetupError, match="no package index may be used"):
        index.fetch(wheel, tmp_path / "w", {"PIP_NO_INDEX": "1"})
