"""A service whose model changes, one change after another, and the database that it is served on meanwhile.

The version that is served knows the fields that all versions have: it can work at every revision of the chain.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncmy
import asyncpg
from served import Service

SOURCE = '''"""Parcels on shelves."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID, uuid4

from mainstay import Dto, Entity, Module, Repository, Service, anyone, field

depot = Module("depot")

{shelf}
class Parcel(Entity):
{fields}


class Bring(Dto):
    mark: str = field(max_length=60)


class Turn(Dto):
    quantity: int


@depot.command("POST /parcels", status=201, allow=anyone)
async def bring(wanted: Bring, parcels: Repository[Parcel]) -> Parcel:
    return await parcels.add(Parcel(mark=wanted.mark, code=uuid4().hex))


@depot.command("POST /parcels/{{parcel_id}}", allow=anyone)
async def turn(parcel_id: UUID, wanted: Turn, parcels: Repository[Parcel]) -> Parcel:
    parcel = await parcels.get(parcel_id)
    return await parcels.update(parcel, quantity=parcel.quantity + wanted.quantity)


@depot.query("GET /parcels/{{parcel_id}}", allow=anyone)
async def look(parcel_id: UUID, parcels: Repository[Parcel]) -> Parcel:
    return await parcels.get(parcel_id)


@depot.query("GET /parcels", allow=anyone)
async def search(parcels: Repository[Parcel]) -> list[Parcel]:
    return (await parcels.page(sort="-quantity", limit=20)).items


service = Service("depot", modules=[depot])
'''
SHELF = """
class Shelf(Entity):
    name: str = field(max_length=40)


"""
BASE: Mapping[str, str] = {
    "mark": "str = field(max_length=60)",
    "code": "str = field(max_length=60)",
    "quantity": "int = 0",
    "price": 'Decimal = field(digits=10, places=2, default=Decimal("1.50"))',
    "note": "str | None = field(default=None, max_length=40)",
    "rank": "int | None = None",
    "legacy": "str | None = field(default=None, max_length=40)",
}
SERVED = {**BASE, "note": 'str | None = field(default="none", max_length=40)', "rank": "", "legacy": ""}
"""What the served version knows: it leaves alone what will go, and gives a value to what will have to have one."""

CHANGES: tuple[tuple[str, Mapping[str, str], str], ...] = (
    ("colour may be null", {"colour": "str | None = field(default=None, max_length=40)"}, ""),
    ("kind has a default", {"kind": 'str = field(default="plain", max_length=20)'}, ""),
    ("note is filled", {"note": 'str = field(default="none", max_length=40)'}, ""),
    ("code is unique", {"code": "str = field(max_length=60, unique=True)"}, ""),
    ("mark is indexed", {"mark": "str = field(max_length=60, index=True)"}, ""),
    ("parcels refer to shelves", {"shelf_id": "UUID | None = field(default=None, references=Shelf)"}, ""),
    (
        "rank as a text",
        {"grade": "str | None = field(default=None, max_length=40)"},
        'steps.backfill("depot_parcel", "grade", "CAST(rank AS CHAR(20))", "grade IS NULL AND rank IS NOT NULL")',
    ),
    ("rank goes", {"rank": ""}, ""),
    ("price is wider", {"price": 'Decimal = field(digits=14, places=2, default=Decimal("1.50"))'}, ""),
    ("legacy goes", {"legacy": ""}, ""),
)
"""What is changed by each version: fields with what they are, empty where they go; and a step that the team adds to the
migration. A type is changed by a column of the new one, as it is done where others read and write meanwhile."""

SETTINGS = """service = "depot:service"
[database]
url = "sqlite:///depot.sqlite3"
[admin]
enabled = false
[log]
level = "warning"
"""
FIRST = 1000  # the number of the first row's id
AT = "2026-01-01T00:00:00.000000Z"


def source(fields: Mapping[str, str]) -> str:
    """Return the code of a version."""
    lines = "\n".join(f"    {name}: {told}" for name, told in fields.items() if told)
    return SOURCE.format(shelf=SHELF if "shelf_id" in fields else "", fields=lines)


def versions() -> Iterator[tuple[str, str, str]]:
    """Yield what each version is for, its code and a step of its own: first the one that the database begins with."""
    fields = dict(BASE)
    yield "initial schema", source(fields), ""
    for words, change, step in CHANGES:
        fields |= change
        yield words, source(fields), step


def write_sources(folder: Path) -> list[tuple[str, str, str]]:
    """Write the code of all versions; return their words, files and steps."""
    written = []
    for number, (words, text, step) in enumerate(versions()):
        path = folder / f"depot_{number:02}.py"
        path.write_text(text)
        written.append((words, str(path), step))
    return written


class Depot(Service):
    """The version that is served, in a folder of its own; ``first`` is the revision that its files end with."""

    def __init__(self, folder: Path, first: Path, url: str, *, package: Path | None = None) -> None:
        super().__init__(folder, package=package, production=True, MAINSTAY_DATABASE_URL=url)
        (folder / "depot.py").write_text(source(SERVED))
        (folder / "mainstay.toml").write_text(SETTINGS)
        files = folder / "migrations"
        files.mkdir()
        (files / first.name).write_bytes(first.read_bytes())


def row_id(number: int) -> str:
    """Return the id of a row that is there from the beginning."""
    return f"00000000-0000-7000-8000-{FIRST + number:012x}"


def fill_sqlite(path: Path, rows: int) -> None:
    """Put rows into a file."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO depot_parcel (id, version, created_at, updated_at, mark, code, quantity, price, rank,"
            " legacy) VALUES (?, 1, ?, ?, ?, ?, 0, 150, ?, 'old')",
            ((row_id(n), AT, AT, f"mark {n % 97}", f"code {n}", n) for n in range(rows)),
        )


async def fill_postgres(url: str, rows: int) -> None:
    """Put rows into a database."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            f"""INSERT INTO depot_parcel (id, version, created_at, updated_at, mark, code, quantity, price, rank,
                legacy)
            SELECT ('00000000-0000-7000-8000-' || lpad(to_hex({FIRST} + n), 12, '0'))::uuid, 1, now(), now(),
                'mark ' || n % 97, 'code ' || n, 0, 1.50, n, 'old' FROM generate_series(0, {rows - 1}) n"""
        )
        await connection.execute("ANALYZE depot_parcel")
    finally:
        await connection.close()


async def fill_mariadb(address: dict[str, Any], rows: int) -> None:
    """Put rows into a database."""
    connection: Any = await asyncmy.connect(**address, autocommit=True)
    try:
        await connection.query(
            f"""INSERT INTO depot_parcel (id, version, created_at, updated_at, mark, code, quantity, price, `rank`,
                legacy)
            SELECT UNHEX(CONCAT('00000000000070008000', LPAD(HEX({FIRST} + seq), 12, '0'))), 1, NOW(6), NOW(6),
                CONCAT('mark ', seq % 97), CONCAT('code ', seq), 0, 1.50, seq, 'old' FROM seq_0_to_{rows - 1}"""
        )
        await connection.query("ANALYZE TABLE depot_parcel")
    finally:
        await connection.ensure_closed()
