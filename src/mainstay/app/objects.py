"""Stores of objects from settings: the URL says which, and where."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from mainstay.app.devkey import ensure_state
from mainstay.app.refusal import Refusal
from mainstay.app.registry import find
from mainstay.app.settings import Settings
from mainstay.ports.blobs import Blobs
from mainstay.ports.clock import Clock


def make_blobs(settings: Settings, clock: Clock) -> Blobs | None:
    """Return the store of objects that the settings name, or None where they name none. Raises ``Refusal``."""
    url = settings.blobs.url.reveal()
    if not url:
        return None
    scheme, colon, _ = url.partition(":")
    if not colon:
        raise Refusal(
            f"blobs.url ({settings.source('blobs.url')}) is no URL", "for example file:///objects, or memory:"
        )
    made: Blobs = find("blobs", scheme)(settings, clock)
    return made


def memory(settings: Settings, clock: Clock) -> Blobs:
    """Objects that end with the process."""
    from mainstay.adapters.memory.blobs import MemoryBlobs

    if settings.http.workers > 1:
        raise Refusal(
            f"objects in memory belong to one process, and http.workers is {settings.http.workers}",
            "use one worker, or blobs.url = file:///objects",
        )
    return MemoryBlobs(clock)


def file(settings: Settings, clock: Clock) -> Blobs:  # noqa: ARG001 - the form of a factory
    """Objects below a folder: ``file:///relative`` to that of mainstay.toml, ``file:////absolute``."""
    from mainstay.adapters.local.blobs import DiskBlobs

    parts = urlsplit(settings.blobs.url.reveal())
    path = unquote(parts.path)[1:]
    if parts.netloc or not parts.path.startswith("/") or not path or parts.query or parts.fragment:
        raise Refusal(
            f"blobs.url ({settings.source('blobs.url')}) names no folder",
            "file:///objects is beside mainstay.toml, file:////var/lib/shop/objects is absolute",
        )
    root = settings.root / path
    if root.is_relative_to(settings.state):
        ensure_state(settings.state)
    elif not root.parent.is_dir():
        raise Refusal(f"blobs.url: {root.parent}: there is no such folder", f"mkdir -p {root.parent}")
    return DiskBlobs(root)
