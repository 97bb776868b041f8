"""``mainstay clients`` registers, lists and revokes, on the database of the settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from kernel_world import Ear
from oauth_world import SCOPES

from mainstay import AuthorizationServer, Identity, Service
from mainstay.app.assembly import assemble
from mainstay.app.checking import inspect
from mainstay.cli import preparing
from mainstay.cli.entry import run

TOML = '[database]\nurl = "{url}"\ncreate = true\n'
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def mainstay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line on a service that is put together as always."""

    def run_it(*words: str, server: bool = True, url: str = "sqlite:///shop.sqlite") -> tuple[int, str, str]:
        (tmp_path / "mainstay.toml").write_text(TOML.format(url=url))
        identity = Identity(server=AuthorizationServer(scopes=SCOPES) if server else None)
        service = Service("shop", modules=[], identity=identity)
        monkeypatch.setattr(preparing, "open_application", lambda settings: assemble(service, settings, observer=Ear()))
        code = run(["clients", *words, "-C", str(tmp_path), "--profile", "development"])
        out, err = capsys.readouterr()
        return code, out, err

    return run_it


def test_a_client_is_registered_listed_and_revoked(mainstay: Run) -> None:
    code, out, _ = mainstay(
        "create", "Tracker", "--redirect", "https://a.example/b", "--scope", "openid", "--format", "json"
    )
    made = json.loads(out)
    assert (code, set(made)) == (0, {"client_id", "client_secret"})
    code, out, _ = mainstay("create", "App", "--redirect", "com.example.app:/b", "--scope", "openid", "--public")
    assert (code, "client_secret" in out) == (0, False)
    code, out, _ = mainstay("create", "Machine", "--machine", "--scope", "orders:read")
    assert (code, "(it is shown this once)" in out) == (0, True)
    code, out, _ = mainstay("list")
    assert code == 0
    assert [line.split()[1:3] for line in out.splitlines()[1:]] == [
        ["Tracker", "confidential"],
        ["App", "public"],
        ["Machine", "confidential"],
    ]
    assert made["client_secret"] not in out
    code, out, _ = mainstay("revoke", made["client_id"])
    assert (code, out) == (0, f"revoked {made['client_id']}; what it was given has ended\n")
    code, out, _ = mainstay("list", "--format", "json")
    assert [row["revoked_at"] is None for row in json.loads(out)] == [False, True, True]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("create", "X"), "/grants"),
        (("create", "X", "--redirect", "http://a.example/"), "/redirect_uris/0"),
        (("create", "X", "--redirect", "https://a.example/", "--scope", "root"), "/scopes/0"),
        (("revoke", "0199c0de-0000-7000-8000-00000000000a"), "not_found"),
        (("revoke", "nobody"), "not_found"),
    ],
)
def test_what_cannot_be_is_told_and_ends_with_1(mainstay: Run, words: tuple[str, ...], told: str) -> None:
    code, out, err = mainstay(*words)
    assert (code, out) == (1, "")
    assert told in err


def test_a_service_without_clients_says_how_to_have_them(mainstay: Run) -> None:
    code, _, err = mainstay("list", server=False)
    assert (code, "the service has no clients" in err) == (1, True)


def test_a_store_that_forgets_has_no_clients(mainstay: Run) -> None:
    code, _, err = mainstay("list", url="memory:")
    assert (code, "forgets" in err) == (1, True)


@pytest.mark.parametrize("words", [(), ("remove",), ("create",), ("list", "--nonsense")])
def test_a_wrong_command_line_ends_with_2(mainstay: Run, words: tuple[str, ...]) -> None:
    assert mainstay(*words)[0] == 2


def test_a_service_that_is_a_provider_can_be_looked_at_without_running_it() -> None:
    from mainstay import Provider

    outside = Provider("acme", issuer="https://id.example", client_id="x", redirect=["https://shop.example/in"])
    identity = Identity(server=AuthorizationServer(scopes=SCOPES), providers=[outside])
    bound = inspect(Service("shop", modules=[], identity=identity))
    assert bound.faults == []
    assert {one.name for one in bound.operations} >= {"issue_token", "log_in_outside", "create_oauth_client"}
    assert inspect(Service("shop", modules=[])).faults == []
