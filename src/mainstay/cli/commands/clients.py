"""``mainstay clients``: clients of OAuth, registered and revoked by who runs the service."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mainstay.cli.arguments import action_parser
from mainstay.cli.console import Console, table
from mainstay.cli.project import settings_of

if TYPE_CHECKING:
    from mainstay.app.assembly import Application

PAGE = 200


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = action_parser(actions, "create", "register a client, and print its secret this once")
    create.add_argument("name", metavar="NAME", help="what people are told who asks them")
    create.add_argument(
        "--redirect", action="append", default=[], metavar="URL", help="a page that it is answered at; may be repeated"
    )
    create.add_argument(
        "--scope", action="append", default=[], metavar="SCOPE", help="a scope that it may have; may be repeated"
    )
    create.add_argument(
        "--machine", action="store_true", default=False, help="it acts in its own name (client_credentials)"
    )
    create.add_argument(
        "--public", action="store_true", default=False, help="it can keep no secret: an app, or a page in a browser"
    )
    create.add_argument(
        "--introspects", action="store_true", default=False, help="it may ask about the tokens of other clients"
    )
    action_parser(actions, "list", "list the clients, those that were revoked as well")
    revoke = action_parser(actions, "revoke", "have a client count no more: all that it was given ends")
    revoke.add_argument("client", metavar="CLIENT_ID")


def execute(arguments: Any, console: Console) -> int:
    """Do it, as the system, on the database of the settings."""
    from mainstay.app.refusal import Refusal
    from mainstay.app.serving import run_loop
    from mainstay.cli.preparing import check_schema, open_application
    from mainstay.identity.declaration import Identity

    settings = settings_of(arguments)
    application = open_application(settings)
    identity = application.service.identity
    if not isinstance(identity, Identity) or identity.server is None:
        raise Refusal(
            "the service has no clients", "declare it: Service(..., identity=Identity(server=AuthorizationServer()))"
        )
    if not application.ports.store.capabilities.durable:
        raise Refusal("the store of these settings forgets: there are no clients in it", "give database.url")
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

    of_people = ["authorization_code", "refresh_token"] if arguments.redirect else []
    wanted = {
        "name": arguments.name,
        "redirect_uris": arguments.redirect,
        "grants": [*of_people, *(["client_credentials"] if arguments.machine else [])],
        "scopes": arguments.scope,
        "confidential": not arguments.public,
        "introspects": arguments.introspects,
    }
    made = await operate(application, "create_oauth_client", body=wanted)
    secret = made["client_secret"]
    shown = "" if secret is None else f"\nclient_secret  {secret}  (it is shown this once)"
    return made, f"client_id      {made['client_id']}{shown}"


async def _list(application: Application, arguments: Any) -> tuple[Any, str]:  # noqa: ARG001 - it takes none
    from mainstay.app.operating import operate

    rows: list[dict[str, Any]] = []
    following: str | None = None
    while True:
        query = [("sort", "created_at"), ("limit", str(PAGE)), *([("cursor", following)] if following else [])]
        page = await operate(application, "list_oauth_clients", query=query)
        rows.extend(page["items"])
        following = page.get("next")
        if following is None:
            break
    lines = [(row["id"], row["name"], _state(row), " ".join(row["scopes"])) for row in rows]
    return rows, table(("CLIENT_ID", "NAME", "STATE", "SCOPES"), lines)


def _state(row: Mapping[str, Any]) -> str:
    if row["revoked_at"] is not None:
        return "revoked"
    return "confidential" if row["confidential"] else "public"


async def _revoke(application: Application, arguments: Any) -> tuple[Any, str]:
    from mainstay.app.operating import operate

    await operate(application, "revoke_oauth_client", arguments={"client_id": arguments.client})
    return {"client_id": arguments.client}, f"revoked {arguments.client}; what it was given has ended"


_ACTIONS: Mapping[str, Callable[[Any, Any], Awaitable[tuple[Any, str]]]] = MappingProxyType(
    {"create": _create, "list": _list, "revoke": _revoke}
)
