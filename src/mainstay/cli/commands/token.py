"""``mainstay token``: a token that this clone's service believes."""

from __future__ import annotations

import argparse
from typing import Any

from mainstay.app.credentials import DEVELOPER, development_token
from mainstay.app.devkey import TOKEN_HOURS
from mainstay.cli.arguments import Usage
from mainstay.cli.console import Console
from mainstay.cli.project import settings_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--role", action="append", default=[], metavar="ROLE", help="a role; may be given again")
    parser.add_argument("--scope", action="append", default=[], metavar="SCOPE", help="a scope; may be given again")
    parser.add_argument("--sub", metavar="SUBJECT", help=f"whose token it is: a UUID or a name ({DEVELOPER})")
    parser.add_argument("--tenant", help="the tenant")
    parser.add_argument(
        "--claim", action="append", default=[], metavar="NAME=VALUE", help="a further claim (JSON or text)"
    )
    parser.add_argument("--hours", type=float, default=TOKEN_HOURS, help=f"how long it is good ({TOKEN_HOURS})")


def execute(arguments: Any, console: Console) -> int:
    """Print the token, alone on its line."""
    from mainstay.adapters.local.clock import SystemClock

    claims = dict(_claim(text) for text in arguments.claim)
    clock = SystemClock()
    token = development_token(
        settings_of(arguments),
        now=clock.time(),
        subject=arguments.sub,
        roles=arguments.role,
        scopes=arguments.scope,
        tenant=arguments.tenant,
        claims=claims,
        hours=arguments.hours,
    )
    expires = int(clock.time() + arguments.hours * 3600)
    console.facts({"token": token, "expires_at": expires, "subject": arguments.sub or str(DEVELOPER)}, lambda: token)
    return 0


def _claim(text: str) -> tuple[str, Any]:
    import json

    name, equals, value = text.partition("=")
    if not (name and equals):
        raise Usage(f"mainstay token: --claim {text}: expected NAME=VALUE, for example --claim region=north")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
