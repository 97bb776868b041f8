"""What is in a backup: told beside it, and compared with what a restore has made of it."""

from __future__ import annotations

from pathlib import Path

import msgspec


class BackupFault(Exception):
    """A backup or a restore that cannot be done: what is in the way, and what to do."""


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """The kind of the database, its revision, and the rows of each table at the moment of the backup."""

    store: str
    revision: str | None
    rows: dict[str, int]

    def differences(self, found: dict[str, int]) -> list[str]:
        """Return how the rows of another database differ, one table each."""
        names = sorted({*self.rows, *found})
        pairs = [(name, self.rows.get(name), found.get(name)) for name in names]
        return [f"{name}: {there} rows, {backed} in the backup" for name, backed, there in pairs if backed != there]


def beside(file: Path) -> Path:
    """Return the file that tells what is in a backup."""
    return file.with_name(f"{file.name}.json")


def write_contents(file: Path, contents: Contents) -> None:
    """Tell what is in a backup."""
    beside(file).write_bytes(msgspec.json.format(msgspec.json.encode(contents), indent=2) + b"\n")


def read_contents(file: Path, store: str) -> Contents:
    """Return what is in a backup. Raises ``BackupFault`` where it is none of this kind of database."""
    if not file.is_file():
        raise BackupFault(f"{file}: there is no such file")
    try:
        contents = msgspec.json.decode(beside(file).read_bytes(), type=Contents)
    except (OSError, msgspec.DecodeError) as error:
        raise BackupFault(f"{beside(file)} does not tell what is in the backup: it was made beside it") from error
    if contents.store != store:
        raise BackupFault(f"{file} is a backup of a {contents.store} database, and this one is {store}")
    return contents


def check_new(file: Path) -> None:
    """Raise ``BackupFault`` where a backup would take the place of something."""
    if file.exists() or beside(file).exists():
        raise BackupFault(f"{file} is there already: name a new file")
    if not file.absolute().parent.is_dir():
        raise BackupFault(f"{file.parent}: there is no such folder")
