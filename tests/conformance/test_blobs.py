"""The stores of objects do what every one must, and the one on disk what a disk can be asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mainstay.adapters.local import blobs as local
from mainstay.adapters.local.blobs import DiskBlobs
from mainstay.adapters.memory.blobs import MemoryBlobs
from mainstay.ports.blobs import BlobChanged, Blobs
from mainstay.testing.conformance.blobs import BlobsConformance
from mainstay.testing.fixed import FixedClock


class TestMemoryBlobs(BlobsConformance):
    def make_blobs(self, folder: Path) -> Blobs:
        return MemoryBlobs(FixedClock())


class TestDiskBlobs(BlobsConformance):
    def make_blobs(self, folder: Path) -> Blobs:
        return DiskBlobs(folder / "objects")


async def test_an_object_is_synced_before_it_has_its_name_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, Path.replace

    def noted_sync(handle: int) -> None:
        done.append("folder" if Path(f"/proc/self/fd/{handle}").readlink().is_dir() else "file")
        sync(handle)

    def noted_replace(path: Path, target: Path) -> Path:
        done.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    await DiskBlobs(tmp_path).put("a/b", b"x")
    assert done == ["file", "rename", "folder", "folder"]


async def test_nothing_is_left_of_what_broke_or_of_who_died(tmp_path: Path) -> None:
    old = tmp_path / "~tmp" / "tmpold"
    old.parent.mkdir()
    old.write_bytes(b"x")
    os.utime(old, (1, 1))
    young = old.with_name("tmpyoung")
    young.write_bytes(b"x")
    blobs = DiskBlobs(tmp_path)
    await blobs.put("a", b"x")
    assert sorted(path.name for path in old.parent.iterdir()) == ["tmpyoung"]
    assert [blob.key async for blob in blobs.list()] == ["a"]


async def test_a_link_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    blobs = DiskBlobs(tmp_path / "objects")
    await blobs.put("a", b"x")
    link = tmp_path / "objects" / "link"
    link.symlink_to(secret)
    blob = await blobs.get("link")
    with pytest.raises((BlobChanged, OSError)):
        [part async for part in blob.read()]


def test_parts_are_bounded() -> None:
    assert local._PART <= 1 << 20
