"""Mounted applications: checked at start-up, and bound to the adapters that every request of theirs passes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from mainstay.app.reserved import PATHS, is_reserved
from mainstay.inbound.http.mounts import Mount
from mainstay.inbound.http.wsgi import WsgiApp
from mainstay.kernel.bind import Bound
from mainstay.kernel.bound import BoundOperation, Media, Ports
from mainstay.kernel.stages import admit
from mainstay.model.faults import StartupFault
from mainstay.model.limits import Limit
from mainstay.model.mounted import Mounted, MountKind
from mainstay.model.operation import Operation, OperationKind
from mainstay.model.policy import anyone
from mainstay.model.service import Service
from mainstay.model.signature import Signature
from mainstay.ports.observer import Notice

_PATH = re.compile(r"/|(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")


def note_mounts(bound: Bound) -> None:
    """Note the faults of a service's mounts."""
    seen: dict[str, Mounted] = {}
    for mounted in bound.service.mounts:
        for message, hint in _faults(bound, mounted, seen):
            bound.faults.append(StartupFault(mounted.source, _name(mounted), message, hint))
        seen.setdefault(mounted.path, mounted)


def _name(mounted: Mounted) -> str:
    return f"mount:{mounted.path}"


def _faults(bound: Bound, mounted: Mounted, seen: dict[str, Mounted]) -> Iterator[tuple[str, str]]:
    path = mounted.path
    if _PATH.fullmatch(path) is None:
        yield "the path is none that an application is mounted at", 'for example "/legacy", without a slash at its end'
        return
    if path in seen:
        yield f"there is an application at this path already ({seen[path].source})", "give it another path"
    if path != "/" and (is_reserved(path) or any(own.startswith(f"{path}/") for own in PATHS)):
        yield f"{path} is served by every service of its own", "give it another path"
    if path != "/":
        yield from _overlaps(bound, path)
    if mounted.kind is None and kind_of(mounted.app) is None:
        yield "it cannot be told whether this is an ASGI or a WSGI application", 'say kind="asgi" or kind="wsgi"'
    if any(one.by not in ("address", "global") for one in mounted.limits):
        yield "limits of a mount are by address or global: who calls is for the application to know", 'by="address"'
    if mounted.deadline <= 0 or mounted.threads < 1 or (mounted.max_body is not None and mounted.max_body < 1):
        yield "deadline, threads and max_body must be above 0", ""


def _overlaps(bound: Bound, path: str) -> Iterator[tuple[str, str]]:
    """Find the routes with a name in braces where the mount has its own path: which one is meant is anybody's guess."""
    prefixes = [version.prefix for version in bound.service.versions] or [""]
    for one in bound.operations:
        operation = one.operation
        if operation.method and any(_takes(prefix + operation.path, path) for prefix in prefixes):
            route = f"{operation.method} {operation.path}"
            yield f"{route} ({operation.source}) takes the same paths", "give one of both another path"


def _takes(route: str, path: str) -> bool:
    """Whether a route takes paths at or below a mount's by a name in braces."""
    wanted, segments = path.split("/")[1:], route.split("/")[1:]
    if len(segments) < len(wanted):
        return False
    pairs = list(zip(wanted, segments, strict=False))
    return any(b.startswith("{") for _, b in pairs) and all(a == b or b.startswith("{") for a, b in pairs)


def kind_of(app: Any) -> MountKind | None:
    """Return what an application is by its form: a coroutine function of three parameters, or a function of two.

    None where it has neither form (ASGI 2, a class, a decorated function of ``*args``).
    """
    if inspect.isclass(app) or not callable(app):
        return None
    called = app if inspect.isroutine(app) else app.__call__
    try:
        parameters = list(inspect.signature(app).parameters.values())
    except (TypeError, ValueError):
        return None
    needed = [p for p in parameters if p.default is p.empty]
    if any(p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in needed):
        return None
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(called):
        return "asgi" if len(needed) == 3 else None
    return "wsgi" if len(needed) == 2 else None


def make_mounts(bound: Bound, *, max_body: int) -> list[Mount]:
    """Return the mounts of a service without faults; none where one module is served alone: they are the service's."""
    if bound.service.serves is not None:
        return []
    return [_mount(bound.service, bound.ports, mounted, max_body) for mounted in bound.service.mounts]


def _mount(service: Service, ports: Ports, mounted: Mounted, max_body: int) -> Mount:
    kind = mounted.kind or kind_of(mounted.app) or "asgi"
    app = mounted.app
    if kind == "wsgi":
        app = WsgiApp(app, threads=mounted.threads, waiting=4 * mounted.threads, tell=_teller(ports, _name(mounted)))
    return Mount(
        path="" if mounted.path == "/" else mounted.path,
        app=app,
        bound=_bound(mounted, ports, (*service.limits, *mounted.limits)),
        max_body=mounted.max_body or max_body,
        protocol=kind,
    )


def _teller(ports: Ports, name: str) -> Any:
    def tell(text: str) -> None:
        ports.observer.observe(Notice("warning", "mount_said", text, {"mount": name}))

    return tell


def _bound(mounted: Mounted, ports: Ports, limits: tuple[Limit, ...]) -> BoundOperation:
    """Bind a mount as an operation: its name in observations, its limits, its deadline."""
    early = [one for one in limits if one.by in ("address", "global")]
    return BoundOperation(
        operation=Operation(
            name=_name(mounted),
            kind=OperationKind.QUERY,
            module="",
            function=mounted.app,
            source=mounted.source,
            path=mounted.path,
            allow=anyone,
            limits=mounted.limits,
        ),
        signature=Signature(parameters=(), returns=None),
        name=_name(mounted),
        status=200,
        media=Media(),
        index=-1,
        inline=False,
        deadline=mounted.deadline,
        ports=ports,
        plans={},
        stages=(admit(early, ports.limiter),) if early else (),
    )
