"""Applications of other frameworks, served beside a service's own operations."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from mainstay.model.limits import Limit
from mainstay.model.operation import Source

MountKind = Literal["asgi", "wsgi"]


class Mounted(msgspec.Struct, frozen=True, kw_only=True):
    """An application under a path, as declared with ``Service.mount``."""

    path: str
    app: Any
    kind: MountKind | None
    limits: tuple[Limit, ...]
    max_body: int | None
    deadline: float
    threads: int
    source: Source
