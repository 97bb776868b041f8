"""Outside programs are started once, found by their variables, and stopped for good."""

from __future__ import annotations

import importlib
import json
import os
import pwd
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

WEB = """
[web]
command = ["{python}", "-m", "http.server", "--bind", "127.0.0.1", "--directory", "{{data}}", "{{port}}"]
ready = ["{python}", "-c", "import socket; socket.create_connection(('127.0.0.1', {{port}})).close()"]
env = {{ WEB_URL = "http://127.0.0.1:{{port}}/" }}
"""
IDLE = '[{name}]\ncommand = ["sleep", "60"]\nready = ["true"]\n'
FAKE = """
[db]
packages = ["fake-server", "fake-client"]
command = ["fake-db", "60"]
ready = ["true"]
"""
APT_GET = """#!/bin/sh
echo "$*" >>"$0.calls"
if [ "$1" = install ]; then
    code=0
    {policy} fake-server start || code=$?
    echo "policy: $code" >>"$0.calls"
    {install}
fi
"""


@pytest.fixture
def services(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(pytestconfig.rootpath / "scripts/lib"))
    return importlib.import_module("services")


@pytest.fixture
def call(services: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., str]]:
    def call(word: str, table: str = WEB.format(python=sys.executable), code: int = 0) -> str:
        (tmp_path / "table.toml").write_text(table)
        assert services.main([word], tmp_path / "table.toml", tmp_path / "state") == code
        captured = capsys.readouterr()
        return captured.out + captured.err

    yield call
    services.main(["down"], tmp_path / "table.toml", tmp_path / "state")


def test_a_service_lives_from_up_to_down(call: Callable[..., str]) -> None:
    assert call("status") == "web: not running\n"
    assert call("env") == ""
    assert call("up") == "web\n"
    assert call("up") == ""
    url = call("env").removeprefix("export WEB_URL=").strip()
    with urllib.request.urlopen(url, timeout=5) as answer:
        assert answer.status == 200
    assert "port" in call("status")
    assert call("down") == "stopped web\n"
    assert call("status") == "web: not running\n"


def test_a_service_may_have_further_ports(call: Callable[..., str], tmp_path: Path) -> None:
    table = IDLE.format(name="web") + 'files = { "ports" = "{port} {port.other} {port.third} {port.other}" }\n'
    assert call("up", table) == "web\n"
    record = json.loads((tmp_path / "state/web/process.json").read_bytes())
    first, other, third, again = (Path(record["data"]) / "ports").read_text().split()
    assert other == again
    assert len({first, other, third}) == 3
    assert call("down", table) == "stopped web\n"


def test_another_process_of_the_same_number_is_not_taken_for_it(call: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "state/web").mkdir(parents=True)
    (tmp_path / "state/web/process.json").write_text(json.dumps({"pid": "1", "started": "never", "port": "1"}))
    assert call("status") == "web: not running\n"
    assert call("down") == ""


def test_a_program_that_is_missing_is_named(call: Callable[..., str]) -> None:
    assert "nonesuch" in call("up", '[web]\ncommand = ["nonesuch"]\nready = ["true"]\n', code=1)


def test_programs_of_the_tests_are_looked_for_and_not_started(call: Callable[..., str]) -> None:
    assert call("up", '[scanners]\nprograms = ["sh"]\n') == ""
    assert call("status", '[scanners]\nprograms = ["sh"]\n') == "scanners: installed\n"
    assert call("status", '[scanners]\nprograms = ["sh", "nonesuch"]\n') == "scanners: nonesuch not installed\n"
    assert "scanners needs the program nonesuch" in call("up", '[scanners]\nprograms = ["nonesuch"]\n', code=1)
    assert call("down", '[scanners]\nprograms = ["sh"]\n') == ""


def test_a_service_that_dies_at_once_is_reported_with_its_last_words(call: Callable[..., str], tmp_path: Path) -> None:
    broken = '[web]\ncommand = ["sh", "-c", "echo no such luck; exit 1"]\nready = ["false"]\n'
    said = call("up", IDLE.format(name="first") + broken, code=1)
    assert "web did not come up: it ended" in said
    assert f"The last lines of {tmp_path}/state/web/log:\n  no such luck\n" in said
    assert call("status", IDLE.format(name="first") + broken) == "first: not running\nweb: not running\n"
    assert _data(tmp_path) == []


def test_a_service_that_never_answers_is_given_up(
    call: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys.modules["services_program"], "READY_SECONDS", 0.2)
    deaf = '[web]\ncommand = ["sleep", "60"]\nready = ["sh", "-c", "echo nobody there; exit 3"]\n'
    said = call("up", deaf, code=1)
    assert "web did not come up within 0 s: sh: it ended with 3" in said
    assert "nobody there" in said
    assert call("status", deaf) == "web: not running\n"
    assert _data(tmp_path) == []


def test_a_step_that_hangs_is_ended(call: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["services_program"], "STEP_SECONDS", 0.2)
    said = call("up", IDLE.format(name="web") + 'prepare = [["sleep", "60"]]\n', code=1)
    assert "web could not be prepared: sleep: it did not end within 0 s" in said


def test_an_unknown_word_is_answered_with_the_usage(call: Callable[..., str]) -> None:
    assert "scripts/services up" in call("restart", code=2)


def test_an_unknown_field_is_refused(call: Callable[..., str]) -> None:
    assert "[web] is not right" in call("status", IDLE.format(name="web") + 'pakages = ["a"]\n', code=1)


def test_the_table_of_the_project_is_sound(services: ModuleType, pytestconfig: pytest.Config, tmp_path: Path) -> None:
    found = services.load(pytestconfig.rootpath / "scripts/services.toml", tmp_path)
    assert [variable for service in found for variable in service.env] == [
        "MAINSTAY_TEST_POSTGRES",
        "MAINSTAY_TEST_PGBOUNCER",
        "MAINSTAY_TEST_MARIADB",
        "MAINSTAY_TEST_MONGO",
        "MAINSTAY_TEST_DYNAMO",
        "MAINSTAY_TEST_RABBITMQ",
        "MAINSTAY_TEST_KAFKA",
        "MAINSTAY_TEST_REDIS",
        "MAINSTAY_TEST_NATS",
        "MAINSTAY_TEST_SQS",
    ]


def test_files_prepare_and_setup_come_in_this_order(
    call: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGHOST", "somebodys.server")
    table = """
[web]
files = { "first" = "port {port} {kept}" }
prepare = [["sh", "-c", "ls >second"], ["sh", "-c", "test -z $PGHOST"]]
command = ["sh", "-c", "ls >{data}/third; exec sleep 60"]
ready = ["test", "-s", "third"]
setup = [["sh", "-c", "ls >fourth"]]
env = { WEB = "{port}" }
"""
    assert call("up", table) == "web\n"
    (data,) = _data(tmp_path)
    assert data.stat().st_mode & 0o777 == 0o700
    assert (data / "first").read_text() == f"port {call('env', table).strip().partition('=')[2]} {{kept}}"
    assert (data / "second").read_text() == "first\nsecond\n"
    assert (data / "third").read_text() == "first\nsecond\nthird\n"
    assert (data / "fourth").read_text() == "first\nfourth\nsecond\nthird\n"
    assert call("down", table) == "stopped web\n"
    assert not data.exists()


def test_a_killed_service_leaves_nothing_to_the_next(call: Callable[..., str], tmp_path: Path) -> None:
    """Not its data, not a child that had left its process group, and not what lies elsewhere."""
    outside = tmp_path / "outside"
    table = f"""
[web]
command = ["sh", "-c", "touch {outside}; setsid sleep 61 & echo $! >child; exec sleep 60"]
ready = ["test", "-s", "child"]
clear = [["rm", "-f", "{outside}"]]
"""
    call("up", table)
    (data,) = _data(tmp_path)
    child = int((data / "child").read_text())
    os.kill(_pid(call, table), signal.SIGKILL)
    _until(lambda: call("status", table) == "web: not running\n")
    assert outside.exists()
    assert call("down", table) == ""
    assert not data.exists()
    assert not outside.exists()
    _until(lambda: not _alive(child))


def test_a_start_that_was_cut_short_is_done_again(call: Callable[..., str], tmp_path: Path) -> None:
    table = IDLE.format(name="web")
    call("up", table)
    file = tmp_path / "state/web/process.json"
    record = json.loads(file.read_text())
    del record["others"]  # written last
    file.write_text(json.dumps(record))
    assert call("env", table) == ""
    assert call("up", table) == "web\n"
    assert _pid(call, table) != record["pid"]
    assert not _alive(record["pid"])


def test_a_service_finds_another_and_follows_it(call: Callable[..., str]) -> None:
    table = IDLE.format(name="db") + IDLE.format(name="pool") + 'env = { POOL = "{port} before {db.port}" }\n'
    assert call("up", table) == "db\npool\n"
    ports = re.findall(r"port (\d+)", call("status", table))
    assert call("env", table) == f"export POOL='{ports[1]} before {ports[0]}'\n"
    os.kill(_pid(call, table), signal.SIGKILL)
    _until(lambda: call("status", table) == "db: not running\npool: not running\n")
    assert call("env", table) == ""
    assert call("up", table) == "db\npool\n"
    assert call("down", table) == "stopped pool\nstopped db\n"


def test_a_service_that_needs_one_below_it_is_refused(call: Callable[..., str]) -> None:
    table = IDLE.format(name="pool") + 'env = { POOL = "{db.port}" }\n' + IDLE.format(name="db")
    assert "pool needs db before it" in call("up", table, code=1)


def test_of_several_versions_the_newest_is_taken(call: Callable[..., str], tmp_path: Path) -> None:
    for version in ("9.6", "15", "16"):
        (tmp_path / f"lib/{version}/bin").mkdir(parents=True)
    for version in ("9.6", "15"):
        _program(tmp_path / f"lib/{version}/bin/fake-db", f"echo {version} >version; exec sleep 60")
    call("up", f'{FAKE}path = ["{tmp_path}/lib/*/bin"]\n')
    _until(lambda: [(data / "version").exists() for data in _data(tmp_path)] == [True])
    (data,) = _data(tmp_path)
    assert (data / "version").read_text() == "15\n"


def test_root_runs_it_as_the_account_that_it_asks_for(
    call: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, programs: Path
) -> None:
    account = SimpleNamespace(pw_uid=os.getuid(), pw_gid=os.getgid())
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", {"somebody": account}.__getitem__)
    _program(programs / "setpriv", 'echo "$1 $2 $3 $4" >>"$0.calls"; shift 3; exec "$@"')
    table = f'{FAKE}user = "somebody"\nfiles = {{ "file" = "" }}\nprepare = [["fake-db", "0"]]\n'
    _program(programs / "fake-db", 'exec sleep "$1"')
    assert call("up", table) == "db\n"
    calls = programs / "setpriv.calls"
    _until(lambda: len(calls.read_text().splitlines()) == 3)
    entry = f"--reuid={os.getuid()} --regid={os.getgid()} --clear-groups"
    assert sorted(re.sub("/.*/", "", line) for line in calls.read_text().splitlines()) == [
        f"{entry} fake-db",
        f"{entry} fake-db",
        f"{entry} true",
    ]
    call("down", table)
    assert "there is no account nobody-else" in call("up", table.replace("somebody", "nobody-else"), code=1)


def test_root_gets_what_is_missing_installed_and_no_server_started(
    call: Callable[..., str], programs: Path, policy: Path
) -> None:
    _apt_get(programs, policy, f"cp {programs}/ready-made {programs}/fake-db")
    _program(programs / "ready-made", "exec sleep 60")
    policy.write_text("#!/bin/sh\nexit 0\n")
    policy.chmod(0o755)
    assert call("up", FAKE) == "db\ninstalling fake-server fake-client\n"
    update, install, answer = (programs / "apt-get.calls").read_text().splitlines()
    assert update.startswith("update")
    assert install.startswith("install -y --no-install-recommends fake-server fake-client")
    assert answer == "policy: 101"
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"
    assert [path.name for path in policy.parent.iterdir()] == [policy.name]
    call("down", FAKE)
    assert call("up", FAKE) == "db\n"
    assert len((programs / "apt-get.calls").read_text().splitlines()) == 3


def test_an_installation_that_fails_is_reported(call: Callable[..., str], programs: Path, policy: Path) -> None:
    _apt_get(programs, policy, "echo no such package; exit 100")
    said = call("up", FAKE, code=1)
    assert "it ended with 100" in said
    assert "  no such package\n" in said
    assert "apt-get update && apt-get install -y --no-install-recommends fake-server fake-client" in said
    assert list(policy.parent.iterdir()) == []


def test_packages_without_the_program_are_reported(call: Callable[..., str], programs: Path, policy: Path) -> None:
    _apt_get(programs, policy, "true")
    assert "db: fake-server fake-client came without fake-db" in call("up", FAKE, code=1)


def test_what_a_killed_installation_left_is_taken_back(
    call: Callable[..., str], programs: Path, policy: Path, services: ModuleType
) -> None:
    """Until then, the policy that stood there before decides."""
    policy.write_text("#!/bin/sh\nexit 7\n")
    policy.chmod(0o755)
    script = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(services.__file__).parent)!r})
import services_packages
from pathlib import Path
services_packages.POLICY = Path({str(policy)!r})
with services_packages._no_servers():
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    assert len(list(policy.parent.iterdir())) == 2
    assert subprocess.run([policy, "fake-server", "start"], check=False).returncode == 7
    _apt_get(programs, policy, "true")
    call("up", FAKE, code=1)
    assert policy.read_text() == "#!/bin/sh\nexit 7\n"
    assert len(list(policy.parent.iterdir())) == 1


def test_who_is_not_root_is_told_the_command(
    call: Callable[..., str], monkeypatch: pytest.MonkeyPatch, programs: Path, policy: Path
) -> None:
    _apt_get(programs, policy, "true")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    said = call("up", FAKE, code=1)
    assert "as root: apt-get update && apt-get install -y --no-install-recommends fake-server fake-client\n" in said
    assert not (programs / "apt-get.calls").exists()


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder whose programs are found before those of the system."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, services: ModuleType) -> Path:
    """Where packages are told whether they may start servers, for a root that may write it."""
    path = tmp_path / "sbin/policy-rc.d"
    path.parent.mkdir()
    monkeypatch.setattr(sys.modules["services_packages"], "POLICY", path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return path


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def _apt_get(programs: Path, policy: Path, install: str) -> None:
    (programs / "apt-get").write_text(APT_GET.format(policy=policy, install=install))
    (programs / "apt-get").chmod(0o755)


def _pid(call: Callable[..., str], table: str) -> int:
    return int(re.findall(r"process (\d+)", call("status", table))[0])


def _data(tmp_path: Path) -> list[Path]:
    """The data folders of the services under test."""
    folders = sys.modules["services_data"].DataFolder
    paths = [folders.of(state).path for state in (tmp_path / "state").iterdir()]
    return [path for path in paths if path.exists()]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
