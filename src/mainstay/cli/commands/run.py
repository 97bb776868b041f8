"""``mainstay run``: serve the service, by one process or by several under a supervisor."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mainstay.app.launching import Launch, launch
from mainstay.app.settings import Settings
from mainstay.cli.arguments import Usage
from mainstay.cli.console import Console
from mainstay.cli.project import settings_of

_SERVERS = ("native", "granian", "uvicorn")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--host", help="the address to listen on (http.host)")
    parser.add_argument("--port", type=int, help="the port; 0 takes a free one (http.port)")
    parser.add_argument("--workers", type=int, metavar="N", help="how many processes serve (http.workers)")
    parser.add_argument("--server", choices=_SERVERS, help="which HTTP server serves (http.server; native)")
    parser.add_argument("--reload", action="store_true", help="start anew when the code changes (development)")
    parser.add_argument("--module", metavar="NAME", help="serve the operations of one module only")
    parser.add_argument(
        "--demo", action="store_true", help="migrate, seed, and print tokens and requests to try (development)"
    )


def execute(arguments: Any, console: Console) -> int:
    """Serve until told to stop."""
    flags = {
        "http.host": arguments.host,
        "http.port": arguments.port,
        "http.workers": arguments.workers,
        "http.server": arguments.server,
    }
    settings = settings_of(arguments, **{key.replace(".", "__"): value for key, value in flags.items()})
    for option in ("reload", "demo"):
        if getattr(arguments, option) and settings.is_production:
            raise Usage(f"mainstay run: --{option} is for development: set MAINSTAY_PROFILE=development")
    if arguments.reload and settings.http.workers > 1:
        raise Usage("mainstay run: --reload works with one worker")
    if arguments.demo or settings.profile == "development":
        # Elsewhere nothing is brought up to date here: whoever serves checks the database and refuses by itself, and a
        # supervisor never holds what its workers hold.
        from mainstay.cli.preparing import prepare

        prepare(settings, console, module=arguments.module, demo=arguments.demo, reload=arguments.reload)
    wanted = Launch(
        directory=str(arguments.directory or Path.cwd()),
        flags={key: value for key, value in flags.items() if value is not None},
        module=arguments.module,
        reload=arguments.reload,
        fresh=arguments.demo,
    )
    return launch(settings, wanted, _announcer(settings, console, demo=arguments.demo))


def _announcer(settings: Settings, console: Console, *, demo: bool) -> Callable[[str, str | None], None]:
    def say(url: str, admin: str | None) -> None:
        from mainstay.cli.announcing import announce

        announce(settings, console, url=url, admin=admin, demo=demo)
        console.flush()

    return say
