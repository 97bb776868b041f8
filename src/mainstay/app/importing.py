"""Finding the team's service by its name, and saying in plain words where its code stands in the way."""

from __future__ import annotations

import copy
import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType

from mainstay.app.refusal import Refusal
from mainstay.app.settings import Settings
from mainstay.model.service import Service


def import_service(settings: Settings, *, module: str | None = None) -> Service:
    """Return the service that the settings name; with ``module``, that serves that one alone. Raises ``Refusal``."""
    if not settings.service:
        where = settings.file or settings.root / "mainstay.toml"
        raise Refusal(
            "no service is named",
            f'write service = "shop.service:shop" into {where}, or set MAINSTAY_SERVICE',
            "mainstay new NAME makes a project that has all of it",
        )
    name, _, attribute = settings.service.partition(":")
    folders = [str((settings.root / folder).resolve()) for folder in settings.path]
    for folder in reversed(folders):
        if folder not in sys.path and Path(folder).is_dir():
            sys.path.insert(0, folder)
    service = getattr(_import(name, settings, folders), attribute, None)
    if not isinstance(service, Service):
        found = "is not there" if service is None else f"is a {type(service).__name__}, not a Service"
        raise Refusal(f"service = {settings.service!r} ({settings.source('service')}): {attribute} {found}")
    return service if module is None else alone(service, module)


def _import(name: str, settings: Settings, folders: list[str]) -> ModuleType:
    try:
        return importlib.import_module(name)
    except SyntaxError as error:
        place = f"{error.filename}:{error.lineno}"
        raise Refusal(f"{place}: {error.msg}", *([f"    {error.text.strip()}"] if error.text else [])) from error
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise Refusal(
                f"service = {settings.service!r} ({settings.source('service')}): there is no module {error.name}",
                f"looked for in {', '.join(folders)}, and among the installed packages",
            ) from None
        raise _broken(error, name) from error
    except (Exception, SystemExit) as error:
        raise _broken(error, name) from error


def _broken(error: Exception | SystemExit, name: str) -> Refusal:
    """Say where the team's code failed as it was imported: the innermost line that is of no package."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _is_foreign(frame.filename)] or list(frames)
    place = f"{own[-1].filename}:{own[-1].lineno}: " if own else ""
    lines = [f"    {own[-1].line}"] if own and own[-1].line else []
    return Refusal(f"{place}{type(error).__name__}: {error}", *lines, f"it was raised while {name} was imported")


def _is_foreign(filename: str) -> bool:
    inside = Path(__file__).resolve().parents[1]
    return (
        filename.startswith(("<frozen", str(inside)))
        or "site-packages" in filename
        or filename.startswith(str(Path(importlib.__file__).parent.parent))
    )


def alone(service: Service, name: str) -> Service:
    """Return the service with the routes of one module only.

    The rest of it stays: the module asks the others, and they hear what it emits, in the database that all share.
    """
    if name not in [module.name for module in service.modules]:
        known = ", ".join(module.name for module in service.modules)
        raise Refusal(f"--module {name}: the service has no such module", f"it has {known}")
    single = copy.copy(service)
    single.serves = name
    return single
