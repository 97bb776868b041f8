"""``mainstay worker``: work on events apart from the API. Any number of them share the work."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from mainstay.cli.arguments import Usage
from mainstay.cli.console import Console
from mainstay.cli.project import settings_of

if TYPE_CHECKING:
    from mainstay.app.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--module", metavar="NAME", help="run the consumers of one module only")
    parser.add_argument("--admin-port", type=int, metavar="N", help="of its admin address; 0 takes a free one")
    parser.add_argument("--no-admin", action="store_true", help="have no admin address: no health, no metrics")


def execute(arguments: Any, console: Console) -> int:
    """Work until told to stop."""
    from mainstay.app.assembly import assemble
    from mainstay.app.importing import import_service
    from mainstay.app.observing import make_observing
    from mainstay.app.refusal import Refusal
    from mainstay.app.serving import run_loop
    from mainstay.app.sockets import listen
    from mainstay.app.working import work

    if arguments.no_admin and arguments.admin_port is not None:
        raise Usage("mainstay worker: give --admin-port or --no-admin, not both")
    settings = _with_admin(arguments, settings_of(arguments, admin__port=arguments.admin_port))
    service = import_service(settings, module=arguments.module)
    observing = make_observing(settings)
    application = assemble(service, settings, observer=observing.observer)
    if not application.ports.store.capabilities.durable:
        raise Refusal(
            "the store of these settings is one process's own: nobody else can work on its events",
            "give database.url, or leave them to mainstay run",
        )
    sockets = []
    if settings.admin_open:
        sockets = listen(settings.admin.host, settings.admin.port)
    try:
        admin = sockets[0] if sockets else None
        return run_loop(work(application, observing, admin, on_ready=lambda: _say(console, service.name, admin)))
    finally:
        for one in sockets:
            one.close()


def _with_admin(arguments: Any, settings: Settings) -> Settings:
    """Return settings with an admin address, in every profile: a worker has no other, unless it is to have none."""
    from msgspec.structs import replace

    if settings.admin.enabled is False:
        return settings
    return replace(settings, admin=replace(settings.admin, enabled=not arguments.no_admin))


def _say(console: Console, name: str, admin: Any) -> None:
    url = None if admin is None else "http://{}:{}".format(*admin.getsockname()[:2])
    places = "" if url is None else f"\n\n  health   {url}/health\n  metrics  {url}/metrics"
    console.facts({"service": name, "admin": url}, lambda: f"working on the events of {name}, stop with Ctrl-C{places}")
    console.flush()
