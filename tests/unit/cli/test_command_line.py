"""The command line answers at once, says what is wrong in plain words, and ends with the right code."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mainstay.cli import main
from mainstay.cli.arguments import COMMANDS, command_parser, find_command
from mainstay.cli.console import Console, table


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAINSTAY_PROFILE", raising=False)


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"  {name}" in said and command.summary in said for name, command in COMMANDS.items())
    assert main([]) == 0
    assert capsys.readouterr().out == said


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_and_the_common_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "--format {text,json}" in said
    assert "--profile" in said


def test_help_imports_nothing_heavy() -> None:
    heavy = ["sqlalchemy", "alembic", "cryptography", "rich", "jinja2", "uvloop", "apsw", "mainstay.app.settings"]
    code = (
        "import sys; from mainstay.cli import main; main(['--help']);"
        f"found = [name for name in {heavy!r} if name in sys.modules]; assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30, stdout=subprocess.DEVNULL)


def test_help_is_there_at_once() -> None:
    """Within a few times of what Python itself takes to start: on a quiet machine that is well under 0.2 s."""
    bare = [sys.executable, "-c", "pass"]
    asked = [sys.executable, "-m", "mainstay", "--help"]
    ratio = min(_seconds(asked) / _seconds(bare) for _ in range(6))
    assert ratio < 8


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, timeout=30, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("mainstay ")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["tokn"], "there is no command 'tokn'; did you mean token?"),
        (["zzz"], "there is no command 'zzz'; see --help"),
        (["--nonsense"], "unknown option --nonsense"),
        (["token", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["token", "--hours", "many"], "invalid float value"),
        (["--format", "yaml", "token"], "invalid choice: 'yaml'"),
        (["--profile"], "expected one argument"),
        (["token", "--profile", "development", "--claim", "region"], "expected NAME=VALUE"),
    ],
)
def test_wrong_use_is_code_2_and_one_line(argv: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    said = capsys.readouterr()
    assert told in said.err
    assert said.out == ""
    assert "Traceback" not in said.err


def test_a_users_mistake_is_code_1_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "--profile", "development", "--hours", "-1"]) == 1
    assert "hours" in capsys.readouterr().err
    Path("mainstay.toml").write_text("[http]\nprot = 1")
    assert main(["token", "--profile", "development"]) == 1
    said = capsys.readouterr().err
    assert "1 setting is wrong in the development profile" in said
    assert "did you mean http.port" in said
    assert "Traceback" not in said


def test_production_issues_no_tokens(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAINSTAY_DATABASE_URL", "sqlite:////x")
    monkeypatch.setenv("MAINSTAY_SEALING_SECRET", "Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU")
    assert main(["token"]) == 1
    said = capsys.readouterr().err
    assert "production issues no tokens (no profile is set)" in said
    assert "--profile development" in said


def test_a_bug_is_told_as_one_and_shown_with_debug(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("mainstay.cli.commands.token.development_token", broken)
    argv = ["token", "--profile", "development"]
    assert main(argv) == 1
    said = capsys.readouterr().err
    assert "ZeroDivisionError: oh" in said
    assert "--debug" in said
    assert "Traceback" not in said
    with pytest.raises(ZeroDivisionError):
        main([*argv, "--debug"])


def test_a_token_stands_alone_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--profile", "development", "token", "--role", "manager"]) == 0
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert said.count(".") == 2
    assert main(["token", "--profile", "development", "--format", "json", "--claim", 'tags=["a"]']) == 0
    facts = json.loads(capsys.readouterr().out)
    assert set(facts) == {"token", "expires_at", "subject"}


def test_whoever_stops_reading_is_no_error() -> None:
    command = [sys.executable, "-m", "mainstay", "doctor", "--settings", "--profile", "development"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=30), said) == (0, b"")


def test_the_command_is_found_among_the_options() -> None:
    assert find_command(["--profile", "run", "token"]) == 2
    assert find_command(["--debug", "-C", "routes", "check"]) == 3
    assert find_command(["--help"]) is None
    assert command_parser("run").prog == "mainstay run"


def test_facts_are_text_or_json() -> None:
    out = io.StringIO()
    Console(out=out).facts({"b": 1}, lambda: "one")
    Console(form="json", out=out).facts({"b": 1, "a": [2]}, lambda: "one")
    first, _, rest = out.getvalue().partition("\n")
    assert first == "one"
    assert json.loads(rest) == {"a": [2], "b": 1}
    assert table(("A", "LONG"), [("wide", "x"), ("b", "y")]) == "A     LONG\nwide  x\nb     y"
