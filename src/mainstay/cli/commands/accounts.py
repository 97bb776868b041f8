"""``mainstay accounts``: accounts made and looked after by who runs the service, the first administrator among them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from mainstay.cli.arguments import Usage, action_parser
from mainstay.cli.console import Console, table
from mainstay.cli.project import settings_of

if TYPE_CHECKING:
    from mainstay.app.assembly import Application

PAGE = 200


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = action_parser(actions, "create", "make an account, whose owner gets a letter to set its password")
    create.add_argument("email", metavar="EMAIL")
    create.add_argument("--name", default="", help="what its owner is called")
    create.add_argument(
        "--role", action="append", default=[], metavar="ROLE", help="a role that it has; may be given again"
    )
    create.add_argument(
        "--password-stdin", action="store_true", default=False, help="take its password from standard input"
    )
    for name, summary in (("grant", "give an account a role"), ("revoke", "take a role from an account")):
        action = action_parser(actions, name, summary)
        action.add_argument("account", metavar="ACCOUNT", help="its address, or its id")
        action.add_argument("role", metavar="ROLE")
    lock = action_parser(actions, "lock", "lock an account: its sessions end, and it can log in no more")
    lock.add_argument("account", metavar="ACCOUNT", help="its address, or its id")
    lock.add_argument("--reason", default="", help="why; it is kept with the account")
    unlock = action_parser(actions, "unlock", "let a locked account log in again")
    unlock.add_argument("account", metavar="ACCOUNT", help="its address, or its id")
    listed = action_parser(actions, "list", "list accounts by their addresses")
    listed.add_argument("--limit", type=int, default=1000, metavar="N", help="at most so many (1000)")


def execute(arguments: Any, console: Console) -> int:
    """Do it, as the system, on the database of the settings."""
    from mainstay.adapters.local.clock import SystemClock
    from mainstay.app.logs import make_operator_log
    from mainstay.app.refusal import Refusal
    from mainstay.app.serving import run_loop
    from mainstay.cli.preparing import check_schema, open_application
    from mainstay.identity.declaration import Identity

    if arguments.action == "list" and arguments.limit < 1:
        raise Usage("mainstay accounts list: give --limit a number from 1")
    settings = settings_of(arguments)
    application = open_application(settings, make_operator_log(settings, SystemClock()))
    if not isinstance(application.service.identity, Identity):
        raise Refusal("the service has no accounts", "declare them: Service(..., identity=Identity())")
    if not application.ports.store.capabilities.durable:
        raise Refusal("the store of these settings forgets: there are no accounts in it", "give database.url")
    check_schema(settings, application)
    told: list[tuple[Any, str]] = []

    async def run() -> int:
        await application.start(deliver=False)
        try:
            told.append(await _ACTIONS[arguments.action](application, arguments))
        finally:
            await application.stop()
        return 0

    run_loop(run())
    facts, text = told[0]
    console.facts(facts, lambda: text)
    return 0


async def _create(application: Application, arguments: Any) -> tuple[Any, str]:
    from mainstay.app.operating import operate

    wanted: dict[str, Any] = {"email": arguments.email, "name": arguments.name, "roles": arguments.role}
    if arguments.password_stdin:
        wanted["password"] = sys.stdin.readline().rstrip("\r\n")
    made = await operate(application, "create_account", body=wanted)
    letter = "" if arguments.password_stdin else "; a letter to set its password goes out when the service runs"
    return made, f"made {made['email']} ({made['id']}){_with(made['roles'])}{letter}"


async def _grant(application: Application, arguments: Any) -> tuple[Any, str]:
    from mainstay.app.operating import operate

    account = await _found(application, arguments.account)
    made = await operate(
        application, "grant_role", arguments={"account_id": account["id"]}, body={"role": arguments.role}
    )
    return made, f"{made['email']}{_with(made['roles'])}"


async def _revoke(application: Application, arguments: Any) -> tuple[Any, str]:
    from mainstay.app.operating import operate

    account = await _found(application, arguments.account)
    await operate(application, "revoke_role", arguments={"account_id": account["id"], "role": arguments.role})
    left = await operate(application, "get_account", arguments={"account_id": account["id"]})
    return left, f"{left['email']}{_with(left['roles'])}"


async def _lock(application: Application, arguments: Any) -> tuple[Any, str]:
    from mainstay.app.operating import operate

    account = await _found(application, arguments.account)
    named = {"account_id": account["id"]}
    await operate(application, "lock_account", arguments=named, body={"reason": arguments.reason})
    locked = await operate(application, "get_account", arguments=named)
    return locked, f"locked {locked['email']}; its sessions have ended"


async def _unlock(application: Application, arguments: Any) -> tuple[Any, str]:
    from mainstay.app.operating import operate

    account = await _found(application, arguments.account)
    named = {"account_id": account["id"]}
    await operate(application, "unlock_account", arguments=named)
    unlocked = await operate(application, "get_account", arguments=named)
    return unlocked, f"unlocked {unlocked['email']}"


async def _list(application: Application, arguments: Any) -> tuple[Any, str]:
    from mainstay.app.operating import operate

    rows: list[dict[str, Any]] = []
    following: str | None = None
    while len(rows) < arguments.limit:
        query = [("sort", "email"), ("limit", str(min(PAGE, arguments.limit - len(rows))))]
        page = await operate(
            application, "list_accounts", query=[*query, *([("cursor", following)] if following else [])]
        )
        rows.extend(page["items"])
        following = page.get("next")
        if following is None:
            break
    lines = [(row["email"], row["id"], _state(row), row["name"]) for row in rows]
    return rows, table(("ADDRESS", "ID", "STATE", "NAME"), lines)


async def _found(application: Application, named: str) -> dict[str, Any]:
    """Return an account by its address or id. Raises ``Refusal`` where there is none."""
    from mainstay.app.operating import operate
    from mainstay.app.refusal import Refusal

    found: list[dict[str, Any]] = []
    if "@" in named or _is_id(named):
        by = "email" if "@" in named else "id"
        found = (await operate(application, "list_accounts", query=[(by, named.lower())]))["items"]
    if not found:
        raise Refusal(f"there is no account {named}", "mainstay accounts list shows those that there are")
    return found[0]


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _state(row: Mapping[str, Any]) -> str:
    states = {
        "locked": row["locked_at"],
        "unconfirmed": row["verified_at"] is None,
        "to be deleted": row["deletion_requested_at"],
    }
    return ", ".join(name for name, holds in states.items() if holds) or "active"


def _with(roles: list[str]) -> str:
    return f" with {', '.join(roles)}" if roles else " without a role"


_ACTIONS: Mapping[str, Callable[[Application, Any], Awaitable[tuple[Any, str]]]] = MappingProxyType(
    {"create": _create, "grant": _grant, "revoke": _revoke, "lock": _lock, "unlock": _unlock, "list": _list}
)
