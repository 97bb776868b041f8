"""``mainstay db explain``: the statements that an operation runs, with their plans on the real data."""

from __future__ import annotations

from typing import Any

from mainstay.cli.arguments import Usage, action_parser
from mainstay.cli.console import Console
from mainstay.cli.project import settings_of


def configure(actions: Any) -> None:
    """Declare the action and its arguments."""
    parser = action_parser(actions, "explain", "show the statements of an operation with their plans, and what to mend")
    parser.add_argument("operation", metavar="OPERATION", help="its name, or its route: 'GET /orders?limit=5'")
    parser.add_argument("--input", metavar="JSON", default="{}", help="its input, or @FILE; the rest is made up")
    parser.add_argument(
        "--as", dest="caller", metavar="WHO[/ROLE,...]", default=None, help="who calls: a UUID or a name (whoever may)"
    )
    parser.add_argument("--tenant", default=None, help="the caller's tenant")
    parser.add_argument("--analyze", action="store_true", default=False, help="run reads once more, for times")
    parser.add_argument("--sql", action="store_true", default=False, help="show the SQL")
    parser.add_argument("--external", action="store_true", default=False, help="call what reaches outside the database")
    parser.add_argument("--check", action="store_true", default=False, help="code 1 where there is something to mend")


def execute(arguments: Any, console: Console) -> int:
    """Call the operation, undo it, and print what it asked of the database."""
    from mainstay.app.explaining import Asked, explain, facts_of, text_of
    from mainstay.app.importing import import_service
    from mainstay.app.serving import run_loop
    from mainstay.testing.people import as_principal

    given = _given(arguments.input)
    who = None
    if arguments.caller is not None or arguments.tenant is not None:
        name, _, roles = (arguments.caller or "ann").partition("/")
        who = as_principal(name, roles=filter(None, roles.split(",")), tenant=arguments.tenant)
    asked = Asked(
        operation=arguments.operation,
        given=given,
        who=who,
        external=arguments.external,
        analyze=arguments.analyze,
    )
    settings = settings_of(arguments)
    service = import_service(settings)
    made = []

    async def run() -> int:
        made.append(await explain(service, settings, asked))
        return 0

    run_loop(run())
    explanation = made[0]
    console.facts(facts_of(explanation), lambda: text_of(explanation, sql=arguments.sql))
    return 1 if explanation.failed or (arguments.check and explanation.advised) else 0


def _given(text: str) -> dict[str, Any]:
    from pathlib import Path

    import msgspec

    try:
        content = Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
        return msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise Usage(f"mainstay db explain: --input is no JSON object: {error}") from None
