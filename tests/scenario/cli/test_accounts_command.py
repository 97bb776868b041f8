"""``mainstay accounts``: how the first administrator comes to be, and what an operator does to accounts."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

SERVICE = '''"""The team's service."""
from mainstay import Identity, Service
from mainstay.identity.book import Opened, SessionBook


class Book(SessionBook):
    async def open(self, account, *, roles, proofs, means):
        return Opened(session_id=account.id, access_token="access")

    async def end_all(self, account_id, *, reason, but=None):
        return 0

    async def outdate(self, account_id):
        return None

    async def renew(self):
        return None


team = Service("team", modules=[], identity=Identity())
team.provide(SessionBook, Book, outside=False)
'''
PASSWORD = "a wet lantern hums"
ANN = "ann@shop.example"

Accounts = Callable[..., Any]


@pytest.fixture
def accounts(project: Path) -> Accounts:
    """Run an action with --format json: what it printed, or what it complained of with the exit code."""
    (project / "team_service.py").write_text(SERVICE)

    def action(*arguments: str, code: int = 0, given: str = "", form: str = "json") -> Any:
        ended = subprocess.run(
            [sys.executable, "-m", "mainstay", "accounts", *arguments, "--format", form],
            cwd=project,
            env={**os.environ, "MAINSTAY_PROFILE": "development"},
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == code, ended.stdout + ended.stderr
        if code:
            return ended.stderr
        return json.loads(ended.stdout) if form == "json" else ended.stdout

    return action


def rows(project: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(project / "team.db")) as database:
        return database.execute(statement).fetchall()


def test_from_the_first_administrator_to_a_locked_account(project: Path, accounts: Accounts) -> None:
    made = accounts("create", ANN, "--role", "admin", "--name", "Ann", "--password-stdin", given=f"{PASSWORD}\n")
    assert (made["email"], made["name"], made["roles"]) == (ANN, "Ann", ["admin"])
    assert made["verified_at"] is not None
    assert accounts("grant", ANN, "manager")["roles"] == ["admin", "manager"]
    assert accounts("grant", made["id"], "support")["roles"] == ["admin", "manager", "support"]
    assert accounts("revoke", ANN, "manager")["roles"] == ["admin", "support"]
    assert accounts("lock", ANN, "--reason", "lost her key")["locked_at"] is not None
    listed = accounts("list")
    assert [(one["email"], one["lock_reason"]) for one in listed] == [(ANN, "lost her key")]
    assert "password" not in listed[0]
    assert "locked" in accounts("list", form="text")
    assert accounts("unlock", ANN)["locked_at"] is None
    noted = [kind for (kind,) in rows(project, "SELECT kind FROM identity_security_record ORDER BY id")]
    assert noted == [
        "role.granted",
        "account.created",
        "role.granted",
        "role.granted",
        "role.revoked",
        "account.locked",
        "account.unlocked",
    ]
    assert not rows(project, f"SELECT 1 FROM identity_account WHERE password LIKE '%{PASSWORD}%'")


def test_without_a_password_a_letter_is_to_be_sent(project: Path, accounts: Accounts) -> None:
    told = accounts("create", "Bob@Shop.Example", form="text")
    assert told.startswith("made bob@shop.example (")
    assert "letter" in told
    assert rows(project, "SELECT event FROM mainstay_outbox") == [("identity.LetterDue",)]


@pytest.mark.parametrize(
    ("arguments", "given", "complaint"),
    [
        (("create", "no address"), "", "/email"),
        (("create", ANN, "--password-stdin"), "short\n", "at least 8"),
        (("create", ANN, "--role", "not a role"), "", "/roles"),
        (("grant", ANN, "manager"), "", "there is no account"),
        (("unlock", "0198c2a0-0000-7000-8000-000000000000"), "", "there is no account"),
        (("lock", "nobody"), "", "nobody"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_said(
    accounts: Accounts, arguments: tuple[str, ...], given: str, complaint: str
) -> None:
    assert complaint in accounts(*arguments, code=1, given=given)


def test_what_is_there_already_is_said(accounts: Accounts) -> None:
    accounts("create", ANN, "--role", "admin")
    assert "address_taken" in accounts("create", ANN, code=1)
    assert "role_present" in accounts("grant", ANN, "admin", code=1)
    assert "does not have this role" in accounts("revoke", ANN, "manager", code=1)


@pytest.mark.parametrize("arguments", [(), ("begin",), ("create",), ("grant", ANN), ("list", "--limit", "0")], ids=str)
def test_what_is_no_command_line(accounts: Accounts, arguments: tuple[str, ...]) -> None:
    accounts(*arguments, code=2)


def test_a_service_without_accounts_says_so(project: Path, accounts: Accounts) -> None:
    (project / "team_service.py").write_text('from mainstay import Service\nteam = Service("team", modules=[])\n')
    assert "has no accounts" in accounts("list", code=1)
