"""``mainstay keys``: the keys that a service with accounts signs with: listed, rotated, retired."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mainstay.cli.arguments import Usage, action_parser
from mainstay.cli.console import Console, table
from mainstay.cli.project import settings_of

if TYPE_CHECKING:
    from mainstay.identity.sessions.keys import KnownKey, SigningKeys

LEAD_SECONDS = 300
MAX_LEAD_SECONDS = 30 * 86_400

Work = Callable[["SigningKeys", Any], Awaitable[None]]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    action_parser(actions, "list", "show the keys that tokens are checked with, and which one signs")
    rotate = action_parser(actions, "rotate", "make a key that signs soon; that of now is checked with until its last")
    rotate.add_argument(
        "--lead",
        type=float,
        default=LEAD_SECONDS,
        metavar="SECONDS",
        help=f"how long it is shown before it signs, so that others know it by then ({LEAD_SECONDS})",
    )
    retire = action_parser(actions, "retire", "have a key count no more, at once: its tokens are void")
    retire.add_argument("kid", metavar="KID", help="the key's id, as the list shows it")


def execute(arguments: Any, console: Console) -> int:
    """Do what the action says, and show the keys that there are then."""
    if arguments.action == "rotate" and not 0 <= arguments.lead <= MAX_LEAD_SECONDS:
        raise Usage(f"mainstay keys rotate: --lead is {arguments.lead:g}, expected 0 to {MAX_LEAD_SECONDS} seconds")
    shown = _run(arguments, _ACTIONS[arguments.action])
    console.facts({"keys": shown}, lambda: _text(shown))
    return 0


async def _list(keys: SigningKeys, arguments: Any) -> None:
    """Nothing is to be done: the keys are shown after every action."""


async def _rotate(keys: SigningKeys, arguments: Any) -> None:
    await keys.rotate(timedelta(seconds=arguments.lead))


async def _retire(keys: SigningKeys, arguments: Any) -> None:
    from mainstay.app.refusal import Refusal
    from mainstay.model.problem import NotFound

    try:
        await keys.retire(arguments.kid)
    except NotFound:
        raise Refusal(f"there is no key {arguments.kid}", "mainstay keys list shows those that there are") from None


_ACTIONS: Mapping[str, Work] = {"list": _list, "rotate": _rotate, "retire": _retire}


def _run(arguments: Any, work: Work) -> Sequence[dict[str, Any]]:
    """Work on the keys of the project's service, and return what they are then."""
    from mainstay.app.refusal import Refusal
    from mainstay.app.serving import run_loop
    from mainstay.cli.preparing import open_application

    application = open_application(settings_of(arguments))
    parts = application.sessions
    if parts is None:
        raise Refusal("the service has no accounts, and signs nothing", "Service(..., identity=Identity())")
    if not application.ports.store.capabilities.durable:
        raise Refusal("the store of these settings forgets: its keys are those of one process", "give it a database")
    shown: list[dict[str, Any]] = []

    async def run() -> int:
        await application.start(deliver=False)
        try:
            await parts.attach(application.bound)
            await work(parts.keys, arguments)
            shown.extend(_facts(parts.keys, application.ports.clock.now()))
        finally:
            await application.stop()
        return 0

    run_loop(run())
    return shown


def _facts(keys: SigningKeys, now: Any) -> list[dict[str, Any]]:
    from mainstay.identity.sessions.keys import NoSigningKey

    try:
        signing = keys.current().kid
    except NoSigningKey:
        signing = ""
    return [_fact(key, _state(key, signing, now)) for key in keys.listed()]


def _state(key: KnownKey, signing: str, now: Any) -> str:
    if key.signer is None:
        return "sealed"
    if key.row.kid == signing:
        return "signs"
    return "comes" if key.row.signs_from > now else "ends"


def _fact(key: KnownKey, state: str) -> dict[str, Any]:
    row = key.row
    return {
        "kid": row.kid,
        "algorithm": row.algorithm,
        "state": state,
        "signs_from": row.signs_from.isoformat(),
        "verifies_until": None if row.verifies_until is None else row.verifies_until.isoformat(),
    }


def _text(shown: Sequence[dict[str, Any]]) -> str:
    rows = [[str(value or "") for value in fact.values()] for fact in shown]
    return table(("KEY", "ALGORITHM", "STATE", "SIGNS FROM", "VERIFIES UNTIL"), rows)
