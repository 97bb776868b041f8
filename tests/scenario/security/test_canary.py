"""Every secret of a service is marked, every door and every failure is tried, and the mark is in nothing it writes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from canary_service import service
from certificates import make_pair
from vault_double import vault_double

from mainstay.app.assembly import assemble
from mainstay.app.complaint import MENDABLE, text
from mainstay.app.doctor import diagnose
from mainstay.app.settings import load
from mainstay.app.tls import tls_files
from mainstay.testing.recorder import Recorder

PATIENCE = 60.0
MARK = "CANARY7f3a9c5e1b"
KEY = f"{MARK}-auth-Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU"
SEAL = f"{MARK}-seal-Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU"
OLD = f"{MARK}-old-Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU"
BANK = f"{MARK}-bank-Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU"
PASSWORD = f"{MARK}-password"
TOML = """
service = "canary_service:service"
path = ["."]
[auth]
key = "env://AUTH_KEY"
issuer = "i"
audience = ["a"]
[sealing]
secret = "file://{secrets}/seal"
previous = ["env://OLD_SEAL"]
[secrets]
bank = "vault://kv/bank#secret"
[secrets_from]
refresh_seconds = 0.2
[secrets_from.vault]
address = "{vault}"
[outgoing]
allow = ["127.0.0.1"]
[http]
port = 0
max_body = 5000
[admin]
port = 0
"""


class Place(NamedTuple):
    """A project, the folder of its secrets (which nothing is looked for in), and its environment."""

    folder: Path
    secrets: Path
    environ: Mapping[str, str]
    vault: Any


def spellings(mark: str) -> list[bytes]:
    """Return the forms in which a value may have been written."""
    raw = mark.encode()
    coded = [base64.b64encode(b"x" * shift + raw)[2 * shift : -4] for shift in range(3)]
    return [raw, raw.lower(), raw.hex().encode(), quote(mark).encode(), raw[::-1], *(part[4:16] for part in coded)]


def search(where: str, data: bytes) -> None:
    for spelling in spellings(MARK):
        at = data.find(spelling)
        assert at < 0, f"{where}: {data[max(0, at - 200) : at + 60]!r}"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with vault_double() as vault:
        token = f"{MARK}-token"
        vault.tokens = {token: {"renewable": True, "ttl": 100}}
        vault.documents["kv/bank"] = {"secret": BANK}
        folder, secrets = tmp_path / "project", tmp_path / "secrets"
        for one in (folder, folder / "tmp", secrets):
            one.mkdir(mode=0o755)
        shutil.copy(Path(__file__).parents[2] / "plugins" / "canary_service.py", folder)
        (secrets / "seal").write_text(SEAL)
        (folder / "mainstay.toml").write_text(TOML.format(secrets=secrets, vault=vault.url))
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAINSTAY_")}
        environ = {
            **inherited,
            "AUTH_KEY": KEY,
            "OLD_SEAL": OLD,
            "MAINSTAY_SECRETS_FROM_VAULT_TOKEN": token,
            "MAINSTAY_SECRET_MAIL": f"{MARK}-mail",
            "MAINSTAY_DATABASE_URL": "sqlite:///desk.sqlite",
            "TMPDIR": str(folder / "tmp"),
            "PYTHONUNBUFFERED": "1",
        }
        yield Place(folder, secrets, environ, vault)


def run(place: Place, *arguments: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end, and look at all that it says."""
    done = subprocess.run(
        [sys.executable, "-m", "mainstay", *arguments],
        cwd=place.folder,
        env={**place.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    search(f"what {arguments} says", done.stdout + done.stderr)
    return done


@contextlib.contextmanager
def served(place: Place, profile: str) -> Iterator[tuple[dict[str, Any], Path]]:
    """Have ``mainstay run`` in a process; its output is a file of the project, too."""
    log = place.folder / "run.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "mainstay", "run", "--format", "json"],
            cwd=place.folder,
            env={**place.environ, "MAINSTAY_PROFILE": profile},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield wait_for(lambda: announced(log, process)), log
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()


def wait_for(ask: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := ask()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def announced(log: Path, process: subprocess.Popen[bytes]) -> Any:
    said = log.read_text()
    assert process.poll() is None, said
    start = said.find('{\n  "admin"')
    end = said.find("\n}\n", start)
    return json.loads(said[start : end + 2]) if 0 <= start < end else None


class Caller:
    """Calls a service and looks at every answer: status line, header fields and body."""

    def __init__(self, url: str) -> None:
        self._address = url.removeprefix("http://")
        self.statuses: list[int] = []

    def ask(self, method: str, path: str, body: Any = None, seconds: float = PATIENCE, **headers: str) -> int:
        connection = http.client.HTTPConnection(self._address, timeout=seconds)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        data = json.dumps(body) if isinstance(body, dict | list) else body
        if data is not None:
            given.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, data, given)
            answer = connection.getresponse()
            search(f"{method} {path} {answer.status}", str(answer.headers).encode() + answer.read())
        finally:
            connection.close()
        self.statuses.append(answer.status)
        return answer.status

    def raw(self, data: bytes) -> None:
        host, _, port = self._address.partition(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as one:
            one.sendall(data)
            one.shutdown(socket.SHUT_WR)
            said = b""
            while part := one.recv(65536):
                said += part
        search(f"the answer to {data[:40]!r}", said)


def token(key: str, **claims: Any) -> str:
    from joserfc import jwt
    from joserfc.jwk import OctKey

    now = int(time.time())
    given = {"iss": "i", "aud": "a", "sub": "ann", "iat": now, "exp": now + 600, **claims}
    return jwt.encode({"alg": "HS256", "typ": "JWT"}, given, OctKey.import_key(key))


def try_credentials(caller: Caller) -> None:
    good = token(KEY)
    assert caller.ask("GET", "/me", Authorization=f"Bearer {good}") == 200
    refused = [
        *(f"Bearer {MARK}", f"Bearer {MARK}.{MARK}.{MARK}", f"Basic {MARK}", MARK, f"Bearer {MARK} {MARK}"),
        *(f"Bearer {token(OLD)}", f"Bearer {token(KEY, exp=1)}", f"Bearer {token(KEY, sub=MARK * 50)}"),
        *(f"Bearer {token(KEY, iss=MARK)}", f"Bearer {token(KEY, aud=[MARK])}", f"Bearer {good[:-4]}"),
        *(f"Bearer {token(KEY, roles={MARK: MARK})}", f"Bearer {token(KEY, exp=MARK)}"),
    ]
    for value in refused:
        assert caller.ask("GET", "/me", Authorization=value, Cookie=f"__Host-session={MARK}") == 401
    assert caller.ask("GET", f"/accounts?cursor={MARK}", Authorization=f"Bearer {good}") == 400
    assert caller.ask("GET", f"/accounts?token={MARK}&password={MARK}", Authorization=f"Bearer {good}") == 400
    assert caller.ask("GET", f"/accounts?digest={MARK}", Authorization=f"Bearer {good}") == 400
    assert caller.ask("GET", "/accounts?limit=1", Authorization=f"Bearer {good}") == 200


def try_bodies(caller: Caller) -> None:
    log_in = {"name": "ann", "password": PASSWORD}
    assert caller.ask("POST", "/accounts", log_in, Idempotency_Key="one") == 201
    assert caller.ask("POST", "/accounts", log_in, Idempotency_Key="one") == 201
    assert caller.ask("POST", "/accounts", {**log_in, "password": PASSWORD[::-1]}, Idempotency_Key="one") == 422
    assert caller.ask("POST", "/accounts", log_in) == 409
    for name, status in (("ann", 200), ("nobody", 404), ("wrong", 409), ("crash", 500), ("nested", 500)):
        assert caller.ask("POST", "/log-in", {**log_in, "name": name}) == status
    for password in ("x", PASSWORD * 20, [PASSWORD], {"a": PASSWORD}, 7, None, PASSWORD + "\0"):
        assert caller.ask("POST", "/log-in", {**log_in, "password": password}) in (400, 422)
    assert caller.ask("POST", "/log-in", {**log_in, "passwrod": PASSWORD}) in (400, 422)
    assert caller.ask("POST", "/log-in", f'{{"name": "a", "password": "{PASSWORD}') == 400
    assert caller.ask("POST", "/log-in", f'{{"name": "a", "password": {PASSWORD}}}') == 400
    assert caller.ask("POST", "/log-in", f"password={PASSWORD}", Content_Type="application/x-www-form-urlencoded") in (
        *(400, 415, 422),
    )
    assert caller.ask("POST", "/log-in", {**log_in, "more": PASSWORD * 1000}) == 413
    with contextlib.suppress(TimeoutError):
        caller.ask("POST", "/log-in", {**log_in, "name": "slow"}, seconds=0.3)
    caller.raw(f"POST /log-in HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{PASSWORD}".encode())
    caller.raw(f"GET /me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {MARK}\r\n {MARK}\r\n\r\n".encode())
    caller.raw(f"GET /me HTTP/1.1\r\nHost: x\r\nCookie {MARK}\r\n\r\n".encode())
    caller.raw(f"{MARK} /me HTTP/1.1\r\nHost: {MARK}\r\n\r\n".encode())


def try_hooks_and_calls(caller: Caller) -> None:
    stamp = str(int(time.time()))
    named = {"webhook_id": "m", "webhook_timestamp": stamp}
    assert caller.ask("POST", "/hook", {"a": MARK}, **named, webhook_signature=f"v1,{MARK}") == 401
    for answer, status in ((b"HTTP/1.1 204 X\r\n\r\n", 200), (b"garbage", 503), (b"", 503)):
        with listener(answer) as url:
            assert caller.ask("POST", "/call", {"url": url, "key": PASSWORD}) == status, answer
    for url in ("http://127.0.0.1:9", "http://10.0.0.1", f"http://{MARK}@x.example", "x"):
        assert caller.ask("POST", "/call", {"url": url, "key": PASSWORD}) == 503
    assert caller.ask("POST", "/call", {"url": "http://127.0.0.1:9", "key": f"{PASSWORD}\r\nx: y"}) == 503


@contextlib.contextmanager
def listener(answer: bytes) -> Iterator[str]:
    """Answer one connection with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError), server.accept()[0] as one:
                one.recv(65536)
                one.sendall(answer)
                one.shutdown(socket.SHUT_WR)
                while one.recv(65536):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(PATIENCE)


@pytest.mark.parametrize("profile", ["development", "production"])
def test_no_secret_is_in_anything_that_a_service_writes(profile: str, place: Place) -> None:
    assert run(place, "db", "plan", MAINSTAY_PROFILE="development").returncode == 0
    assert run(place, "db", "migrate", MAINSTAY_PROFILE=profile).returncode == 0
    with served(place, profile) as (facts, log):
        caller = Caller(facts["url"])
        try_credentials(caller)
        try_bodies(caller)
        try_hooks_and_calls(caller)
        shown = Caller(facts["admin"] or facts["url"])
        for path in ("/docs/events", "/openapi.json", "/asyncapi.json", "/metrics", "/ready", f"/none?{MARK}"):
            shown.ask("GET", path)
        assert shown.statuses[1] == 200
        place.vault.documents["kv/bank"] = {"secret": f"{BANK}-new"}
        (place.secrets / "seal").write_text("short")
        wait_for(lambda: "secret_renewed" in log.read_text() and "secret_not_renewed" in log.read_text())
        place.vault.sealed = True
        wait_for(lambda: "the server is sealed" in log.read_text())
        caller.ask("GET", "/ready")
    said = log.read_text()
    assert '"traceback"' in said or "Traceback" in said
    assert '"event":"outgoing"' in said
    for file in sorted(place.folder.rglob("*")):
        if file.is_file():
            search(str(file), file.read_bytes())


def test_no_secret_is_in_what_commands_say(place: Place) -> None:
    for command in (("doctor",), ("doctor", "--settings"), ("check",), ("routes",), ("db", "status")):
        run(place, *command, "--format", "json", MAINSTAY_PROFILE="production")
    place.vault.documents.clear()
    (place.secrets / "seal").write_text(f"{MARK}")
    for command in (("doctor",), ("run",)):
        done = run(place, *command, MAINSTAY_PROFILE="production", AUTH_KEY=MARK)
        assert done.returncode != 0
        assert b"vault://kv/bank#secret" in done.stdout + done.stderr


REFUSED: Mapping[str, Mapping[str, str]] = {
    "a short key": {"AUTH_KEY": MARK},
    "a key that is no PEM": {"AUTH_KEY": f"-----BEGIN PRIVATE KEY-----\n{MARK}\n-----END PRIVATE KEY-----"},
    "a key that is no JWK": {"AUTH_KEY": f'{{"kty": "oct", "k": "{MARK}", "{MARK}": 1}}'},
    "postgresql": {"MAINSTAY_DATABASE_URL": f"postgresql://u:{MARK}@127.0.0.1:9/d"},
    "postgresql with a bad parameter": {"MAINSTAY_DATABASE_URL": f"postgresql://u:{MARK}@127.0.0.1:9/d?sslmode={MARK}"},
    "postgresql with a bad port": {"MAINSTAY_DATABASE_URL": f"postgresql://u:{MARK}@127.0.0.1:{MARK}/d"},
    "mysql": {"MAINSTAY_DATABASE_URL": f"mysql://u:{MARK}@127.0.0.1:9/d"},
    "mysql with a bad parameter": {"MAINSTAY_DATABASE_URL": f"mysql://u:{MARK}@127.0.0.1:9/d?x={MARK}"},
    "mongodb": {"MAINSTAY_DATABASE_URL": f"mongodb://u:{MARK}@127.0.0.1:9/"},
    "dynamodb": {"MAINSTAY_DATABASE_URL": f"dynamodb://u:{MARK}@eu-west-1/d"},
    "no such database": {"MAINSTAY_DATABASE_URL": f"oracle://u:{MARK}@h/d"},
    "no URL of a database": {"MAINSTAY_DATABASE_URL": MARK},
    "sqlite with a query": {"MAINSTAY_DATABASE_URL": f"sqlite:///x?key={MARK}"},
    "no URL of objects": {"MAINSTAY_BLOBS_URL": MARK},
    "no such objects": {"MAINSTAY_BLOBS_URL": f"s4://u:{MARK}@h/b"},
    "a token that the vault does not know": {"MAINSTAY_SECRETS_FROM_VAULT_TOKEN": f"{MARK}-other"},
    "a value of another type": {"MAINSTAY_HTTP_PORT": MARK},
    "a password that ends the host": {"MAINSTAY_DATABASE_URL": f"mysql://u:{MARK}/x@127.0.0.1:9/d"},
    "a password that ends the path": {"MAINSTAY_DATABASE_URL": f"postgresql://u:{MARK}#x@127.0.0.1:9/d"},
}


def complaint(place: Place, profile: str, environ: Mapping[str, str]) -> str:
    """Start the service as a worker does, which must fail, and return what would be said of that; look at it."""
    given = {name: value for name, value in place.environ.items() if name.startswith(("MAINSTAY_", "AUTH_", "OLD_"))}
    recorder = Recorder()

    async def start() -> None:
        settings = load(place.folder, profile=profile, environ={**given, **environ})
        tls_files(settings)
        async with assemble(service, settings, observer=recorder):
            pytest.fail("it has started")

    with pytest.raises((*MENDABLE, OSError)) as refused:
        asyncio.run(start())
    said = text(refused.value)
    assert said is not None
    search("why it is refused", f"{said}{refused.value!r}{list(recorder.observed)}".encode())
    search("the doctor", repr(diagnose(place.folder, profile=profile, environ={**given, **environ})).encode())
    return said


@pytest.mark.parametrize("case", REFUSED)
def test_no_secret_is_in_why_a_start_is_refused(case: str, place: Place) -> None:
    complaint(place, "production", REFUSED[case])


def test_no_secret_is_in_why_a_locked_key_is_refused(place: Place, tmp_path: Path) -> None:
    pair = make_pair(tmp_path, password="right")
    environ = {
        "MAINSTAY_HTTP_TLS_CERTIFICATE": str(pair.certificate),
        "MAINSTAY_HTTP_TLS_KEY": str(pair.key),
        "MAINSTAY_HTTP_TLS_KEY_PASSWORD": MARK,
    }
    assert "does not open it" in complaint(place, "production", environ)


def test_no_secret_is_in_why_settings_cannot_be_read(place: Place) -> None:
    for toml in (f'secret = "{MARK}', f"[secrets]\nbank = {MARK}", f'[secrets]\nbank = "{MARK}"\nbank = "{MARK}"'):
        (place.folder / "mainstay.toml").write_text(toml)
        assert "this is no TOML" in complaint(place, "production", {})
    (place.folder / "mainstay.toml").write_text("")
    (place.folder / ".env").write_text(f"{MARK}\nMAINSTAY_AUTH_KEY={MARK}\nMAINSTAY_NO={MARK}\n")
    assert ".env line 1" in complaint(place, "development", {})


def test_a_worker_that_is_refused_says_so_without_a_traceback(place: Place) -> None:
    done = run(place, "run", MAINSTAY_PROFILE="production", MAINSTAY_DATABASE_URL=f"mysql://u:{MARK}@127.0.0.1:9/d")
    assert done.returncode != 0
    assert b"Traceback" not in done.stderr
