"""Which store of objects the settings name, and what is refused of them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mainstay.adapters.local.blobs import DiskBlobs
from mainstay.adapters.memory.blobs import MemoryBlobs
from mainstay.app.objects import make_blobs
from mainstay.app.refusal import Refusal
from mainstay.app.settings import Settings
from mainstay.app.settings.model import Blobs, Http
from mainstay.model.values import Secret
from mainstay.ports.blobs import Blobs as Port
from mainstay.testing.fixed import FixedClock


def made(root: Path, url: str, workers: int = 1) -> Port | None:
    settings = Settings(root=root, blobs=Blobs(url=Secret(url)))
    settings = msgspec.structs.replace(settings, http=Http(workers=workers))
    return make_blobs(settings, FixedClock())


async def test_the_url_says_which(tmp_path: Path) -> None:
    assert made(tmp_path, "") is None
    assert isinstance(made(tmp_path, "memory:"), MemoryBlobs)
    relative = made(tmp_path, "file:///objects")
    assert isinstance(relative, DiskBlobs)
    await relative.put("a", b"x")
    assert (tmp_path / "objects" / "a").read_bytes() == b"x"
    absolute = made(tmp_path, f"file:///{tmp_path}/objects")
    assert absolute is not None
    assert await absolute.exists("a")


async def test_that_of_development_is_in_the_folder_of_the_clone(tmp_path: Path) -> None:
    store = made(tmp_path, "file:///.mainstay/blobs")
    assert store is not None
    await store.put("a", b"x")
    assert (tmp_path / ".mainstay" / "blobs" / "a").exists()


@pytest.mark.parametrize(
    ("url", "workers", "message"),
    [
        ("objects", 1, "is no URL"),
        ("file:objects", 1, "names no folder"),
        ("file://host/objects", 1, "names no folder"),
        ("file:///", 1, "names no folder"),
        ("file:///objects?x=1", 1, "names no folder"),
        ("file:///none/objects", 1, "no such folder"),
        ("cloud://bucket", 1, "there is no blobs called"),
        ("memory:", 2, "belong to one process"),
    ],
)
def test_what_is_refused(tmp_path: Path, url: str, workers: int, message: str) -> None:
    with pytest.raises(Refusal, match=message):
        made(tmp_path, url, workers)
