"""What is done before a service is served: its database brought up to date, where profile and user allow it."""

from __future__ import annotations

from mainstay.app.assembly import Application, assemble
from mainstay.app.complaint import MENDABLE
from mainstay.app.importing import import_service
from mainstay.app.indexing import index
from mainstay.app.migrating import Migrations, migrations_of
from mainstay.app.observing import make_observing
from mainstay.app.refusal import Refusal
from mainstay.app.seeding import seed
from mainstay.app.serving import run_loop
from mainstay.app.settings import Settings
from mainstay.cli.console import Console
from mainstay.model.service import Service
from mainstay.ports.observer import Observer


def prepare(settings: Settings, console: Console, *, module: str | None, demo: bool, reload: bool) -> None:
    """Migrate and seed as wanted. Raises ``Refusal`` where the database is behind and may not be migrated here."""
    try:
        service = import_service(settings, module=module)
        application = _assemble(service, settings)
    except MENDABLE:
        if reload and not demo:
            return  # the worker says the same, and waits until it is mended
        raise
    migrations = migrations_of(settings, application.bound.tables)
    if migrations is not None:
        _bring_up(migrations, settings, console, demo=demo)
    if demo and application.ports.store.capabilities.durable:
        seed_database(application, demo=True)


def _bring_up(migrations: Migrations, settings: Settings, console: Console, *, demo: bool) -> None:
    """Migrate in development: by itself where nothing can be lost, else where the user says yes."""
    if settings.profile == "development":
        by_itself = demo or migrations.is_fresh()
        if not migrations.has_files() and (demo or console.can_ask()):
            _plan(migrations, console)
        if migrations.has_files():
            status = migrations.status()
            if status.pending and (by_itself or _agrees(console, status.pending)):
                for revision in migrations.migrate().done:
                    _note(console, f"migrated to {revision}")
    migrations.check()


def _plan(migrations: Migrations, console: Console) -> None:
    planned = migrations.plan()
    for revision in () if planned is None else planned.revisions:
        _note(console, f"wrote the first migration, to be reviewed and committed: {revision.path}")


def _agrees(console: Console, pending: tuple[str, ...]) -> bool:
    return console.can_ask() and console.ask(f"The database is behind by {', '.join(pending)}. Migrate it now?")


def _note(console: Console, text: str) -> None:
    """Tell a person; a program that reads JSON is told facts only."""
    if not console.is_json:
        console.say(text)


def seed_database(application: Application, *, demo: bool = False) -> list[str]:
    """Run the seeds of its profile on the application's database, and return their names."""
    profiles = (application.settings.profile, *(["demo"] if demo else []))

    async def run() -> int:
        await application.start(deliver=False)
        try:
            names.extend(await seed(application.bound, profiles))
        finally:
            await application.stop()
        return 0

    names: list[str] = []
    run_loop(run())
    return names


def index_words(application: Application) -> dict[str, int]:
    """Store the words of searchable fields anew, and return how many rows of which entity there were."""

    async def run() -> int:
        await application.start(deliver=False)
        try:
            done.update(await index(application.bound))
        finally:
            await application.stop()
        return 0

    done: dict[str, int] = {}
    run_loop(run())
    return done


def _assemble(service: Service, settings: Settings) -> Application:
    return assemble(service, settings, observer=make_observing(settings).observer)


def open_application(settings: Settings, observer: Observer | None = None) -> Application:
    """Return the project's application, not started. Raises what ``assemble`` raises.

    Its log goes to standard output, unless another observer is given.
    """
    service = import_service(settings)
    return _assemble(service, settings) if observer is None else assemble(service, settings, observer=observer)


def check_schema(settings: Settings, application: Application) -> None:
    """Refuse a database that is behind its migrations, where it is of those that have any. Raises ``Refusal``."""
    migrations = None if settings.database.create else migrations_of(settings, application.bound.tables)
    if migrations is not None:
        migrations.check()


def migrations_needed(settings: Settings) -> Migrations:
    """Return the migrations of the project. Raises ``Refusal`` where its database has none."""
    from mainstay.app.checking import inspect
    from mainstay.model.faults import StartupFailed

    bound = inspect(import_service(settings))
    if bound.faults:
        raise StartupFailed(bound.faults)
    found = migrations_of(settings, bound.tables)
    if found is None:
        raise Refusal(
            "the database of these settings has no migrations",
            "SQLite, PostgreSQL, MariaDB and MySQL have them: sqlite:///shop.sqlite, postgresql://user@host/shop",
            "elsewhere database.create makes the tables, outside of production",
        )
    return found
