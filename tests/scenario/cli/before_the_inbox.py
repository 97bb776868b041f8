"""A migration as it was written before there was an inbox: the tables of then, with an event that one consumer had."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from alembic import op

from mainstay.sql import types

revision = "0001_initial_schema"
down_revision = None

EVENT = UUID("01900000-0000-7000-8000-000000000001")
MARK = UUID("01900000-0000-7000-8000-000000000002")
ANN = '{"id":"00000000-0000-0000-0000-000000000007","subject":"ann"}'
THEN = datetime(2026, 11, 1, tzinfo=UTC)


def standard() -> list[sa.Column]:
    """Return the columns that every table has."""
    times = [sa.Column(name, types.DateTime(), nullable=False) for name in ("created_at", "updated_at")]
    return [
        sa.Column("id", types.Uuid(), nullable=False),
        sa.Column("version", types.Integer(), nullable=False),
        *times,
    ]


def upgrade() -> None:
    """Make the tables, and put into them what was there."""
    inbox = op.create_table(
        "mainstay_inbox",
        *standard(),
        sa.Column("mark", types.Text(255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mainstay_inbox")),
        sa.UniqueConstraint("mark", name=op.f("uq_mainstay_inbox_mark")),
        sqlite_strict=True,
    )
    outbox = op.create_table(
        "mainstay_outbox",
        *standard(),
        sa.Column("event", types.Text(), nullable=False),
        sa.Column("key", types.Text(), nullable=True),
        sa.Column("payload", types.Text(), nullable=False),
        sa.Column("principal", types.Text(), nullable=False),
        sa.Column("request_id", types.Text(), nullable=False),
        sa.Column("traceparent", types.Text(), nullable=True),
        sa.Column("attempts", types.Integer(), nullable=False),
        sa.Column("due_at", types.DateTime(), nullable=False),
        sa.Column("dead", types.Boolean(), nullable=False),
        sa.Column("cause", types.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mainstay_outbox")),
        sqlite_strict=True,
    )
    op.create_index("ix_mainstay_outbox_due_at", "mainstay_outbox", ["due_at", "id"])
    op.create_table(
        "mainstay_lease",
        *standard(),
        sa.Column("name", types.Text(255), nullable=False),
        sa.Column("holder", types.Text(), nullable=False),
        sa.Column("until", types.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mainstay_lease")),
        sa.UniqueConstraint("name", name=op.f("uq_mainstay_lease_name")),
        sqlite_strict=True,
    )
    message = {"event": "notes.Noted", "key": "k", "payload": '{"number":7}', "request_id": "r", "principal": ANN}
    state = {"attempts": 1, "due_at": THEN, "dead": False, "cause": "second: conflict"}
    _insert(inbox, MARK, {"mark": f"first:{EVENT}"})
    _insert(outbox, EVENT, {**message, **state})


def _insert(table: Any, id: UUID, values: dict[str, Any]) -> None:
    row = {"id": id, "version": 1, "created_at": THEN, "updated_at": THEN, **values}
    if op.get_context().dialect.name not in ("mysql", "mariadb"):
        op.bulk_insert(table, [row])
        return
    names = ", ".join(f"`{name}`" for name in row)
    op.execute(f"INSERT INTO {table.name} ({names}) VALUES ({', '.join(map(_literal, row.values()))})")


def _literal(value: Any) -> str:
    """Return a value as MariaDB writes it."""
    if value is None:
        return "NULL"
    if isinstance(value, UUID):
        return f"x'{value.hex}'"
    if isinstance(value, datetime):
        return f"'{value:%Y-%m-%d %H:%M:%S}'"
    # In hexadecimal, since SQLAlchemy would take what follows a colon for a parameter.
    return f"CONVERT(x'{value.encode().hex()}' USING utf8mb4)" if isinstance(value, str) else str(int(value))


def downgrade() -> None:
    """Take the tables away."""
    for name in ("mainstay_lease", "mainstay_outbox", "mainstay_inbox"):
        op.drop_table(name)
