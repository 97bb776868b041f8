"""All that a database says of its schema, in a form that does not depend on the way by which it came to be."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import asyncmy
import asyncpg

# What belongs to the schema "public": of each kind of thing its name and all that makes it what it is.
_POSTGRES = {
    "columns": """SELECT c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            pg_get_expr(d.adbin, d.adrelid), co.collname, a.attidentity::text, a.attgenerated::text, a.attstorage::text
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_collation co ON co.oid = a.attcollation
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
            AND a.attnum > 0 AND NOT a.attisdropped""",
    "constraints": """SELECT c.conrelid::regclass || '.' || c.conname, c.contype::text, c.convalidated, c.condeferrable,
            c.condeferred, pg_get_constraintdef(c.oid)
        FROM pg_constraint c WHERE c.connamespace = 'public'::regnamespace""",
    "indexes": """SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisready,
            i.indisunique, i.indisprimary
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'public'::regnamespace""",
    "relations": """SELECT relname::text, relkind::text, relpersistence::text, reloptions
        FROM pg_class WHERE relnamespace = 'public'::regnamespace""",
    "triggers": """SELECT t.tgrelid::regclass || '.' || t.tgname, pg_get_triggerdef(t.oid), t.tgenabled::text
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE c.relnamespace = 'public'::regnamespace AND NOT t.tgisinternal""",
    "functions": "SELECT oid::regprocedure::text, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    "comments": """SELECT c.relname || '.' || coalesce(a.attname, ''), description FROM pg_description d
        JOIN pg_class c ON c.oid = d.objoid LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid
        WHERE c.relnamespace = 'public'::regnamespace""",
    "revision": "SELECT version_num FROM mainstay_migration",
}


async def postgres_catalog(url: str) -> dict[str, list[Any]]:
    """Return the catalog of a PostgreSQL database."""
    connection = await asyncpg.connect(url)
    try:
        return {name: sorted([*map(str, row)] for row in await connection.fetch(q)) for name, q in _POSTGRES.items()}
    finally:
        await connection.close()


_MARIADB = {
    "database": """SELECT default_character_set_name, default_collation_name FROM information_schema.schemata
        WHERE schema_name = DATABASE()""",
    "triggers": """SELECT event_object_table, trigger_name, action_timing, event_manipulation, action_order,
            action_statement, sql_mode
        FROM information_schema.triggers WHERE trigger_schema = DATABASE()""",
    "routines": """SELECT routine_type, routine_name, routine_definition, sql_mode FROM information_schema.routines
        WHERE routine_schema = DATABASE()""",
    "statistics": """SELECT table_name, index_name, seq_in_index, column_name, collation, sub_part, non_unique,
            index_type
        FROM information_schema.statistics WHERE table_schema = DATABASE()""",
    "revision": "SELECT version_num FROM mainstay_migration",
}


async def mariadb_catalog(address: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the catalog of a MariaDB database: the lines of each table's text in order, as columns may be anywhere."""
    connection: Any = await asyncmy.connect(**address)
    try:
        cursor = connection.cursor()

        async def rows(query: str) -> list[Any]:
            await cursor.execute(query)
            return list(await cursor.fetchall())

        found = {name: sorted([*map(str, row)] for row in await rows(query)) for name, query in _MARIADB.items()}
        texts = [(await rows(f"SHOW CREATE TABLE `{name}`"))[0][:2] for (name, *_) in await rows("SHOW TABLES")]
        return found | {
            "tables": [[name, *sorted(line.strip(" ,") for line in text.splitlines())] for name, text in texts]
        }
    finally:
        await connection.ensure_closed()


def sqlite_catalog(path: Path) -> dict[str, list[Any]]:
    """Return the catalog of a SQLite file: the lines of each table's text in order, as constraints may be anywhere."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        schema = connection.execute("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master").fetchall()
        return {
            "schema": sorted([*row[:3], sorted(line.strip(" \t,") for line in row[3].splitlines())] for row in schema),
            "revision": [list(row) for row in connection.execute("SELECT version_num FROM mainstay_migration")],
            "integrity": [list(row) for row in connection.execute("PRAGMA integrity_check")],
            "references": [list(row) for row in connection.execute("PRAGMA foreign_key_check")],
        }


def differing(one: dict[str, list[Any]], other: dict[str, list[Any]]) -> list[str]:
    """Return what is in one of two catalogs only."""
    found = []
    for name, wanted in one.items():
        found += [f"lacks {name}: {each}" for each in wanted if each not in other[name]]
        found += [f"has besides {name}: {each}" for each in other[name] if each not in wanted]
    return found
