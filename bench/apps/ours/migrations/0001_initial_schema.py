"""Initial schema.

Read it before you commit it: what it does to rows that are there is yours to decide.
"""

import sqlalchemy as sa
from alembic import op

from mainstay.sql import types

revision = "0001_initial_schema"
down_revision = None
phase = "expand"


def upgrade() -> None:
    op.create_table(
        "bench_item",
        sa.Column("id", types.Uuid(), nullable=False),
        sa.Column("version", types.Integer(), nullable=False),
        sa.Column("created_at", types.DateTime(), nullable=False),
        sa.Column("updated_at", types.DateTime(), nullable=False),
        sa.Column("sku", types.Text(), nullable=False),
        sa.Column("name", types.Text(), nullable=False),
        sa.Column("price", types.Decimal(digits=12, places=2), nullable=False),
        sa.Column("stock", types.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bench_item")),
        sa.UniqueConstraint("sku", name=op.f("uq_bench_item_sku")),
        sqlite_strict=True,
    )

    op.create_table(
        "mainstay_consumer",
        sa.Column("id", types.Uuid(), nullable=False),
        sa.Column("version", types.Integer(), nullable=False),
        sa.Column("created_at", types.DateTime(), nullable=False),
        sa.Column("updated_at", types.DateTime(), nullable=False),
        sa.Column("name", types.Text(), nullable=False),
        sa.Column("paused", types.Boolean(), nullable=False),
        sa.Column("floor", types.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mainstay_consumer")),
        sa.UniqueConstraint("name", name=op.f("uq_mainstay_consumer_name")),
        sqlite_strict=True,
    )

    op.create_table(
        "mainstay_idempotency",
        sa.Column("id", types.Uuid(), nullable=False),
        sa.Column("version", types.Integer(), nullable=False),
        sa.Column("created_at", types.DateTime(), nullable=False),
        sa.Column("updated_at", types.DateTime(), nullable=False),
        sa.Column("scope", types.Text(), nullable=False),
        sa.Column("fingerprint", types.Text(), nullable=False),
        sa.Column("reply", types.Bytes(), nullable=False),
        sa.Column("expires_at", types.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mainstay_idempotency")),
        sa.UniqueConstraint("scope", name=op.f("uq_mainstay_idempotency_scope")),
        sqlite_strict=True,
    )

    op.create_index("ix_mainstay_idempotency_expires_at", "mainstay_idempotency", ["expires_at", "id"], unique=False)

    op.create_table(
        "mainstay_inbox",
        sa.Column("id", types.Uuid(), nullable=False),
        sa.Column("version", types.Integer(), nullable=False),
        sa.Column("created_at", types.DateTime(), nullable=False),
        sa.Column("updated_at", types.DateTime(), nullable=False),
        sa.Column("mark", types.Text(), nullable=False),
        sa.Column("consumer", types.Text(), nullable=False),
        sa.Column("message", types.Uuid(), nullable=False),
        sa.Column("event", types.Text(), nullable=False),
        sa.Column("source", types.Text(), nullable=False),
        sa.Column("key", types.Text(), nullable=True),
        sa.Column("payload", types.Text(), nullable=False),
        sa.Column("principal", types.Text(), nullable=False),
        sa.Column("request_id", types.Text(), nullable=False),
        sa.Column("traceparent", types.Text(), nullable=True),
        sa.Column("dataversion", types.Integer(), nullable=False),
        sa.Column("emitted_at", types.DateTime(), nullable=False),
        sa.Column("sequence", types.Integer(), nullable=False),
        sa.Column("previous", types.Integer(), nullable=False),
        sa.Column("step", types.Text(), nullable=True),
        sa.Column("partition", types.Integer(), nullable=False),
        sa.Column("state", types.Text(), nullable=False),
        sa.Column("attempts", types.Integer(), nullable=False),
        sa.Column("place", types.Integer(), nullable=True),
        sa.Column("due_at", types.DateTime(), nullable=True),
        sa.Column("cause", types.Text(), nullable=True),
        sa.Column("detail", types.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mainstay_inbox")),
        sa.UniqueConstraint("mark", name=op.f("uq_mainstay_inbox_mark")),
        sqlite_strict=True,
    )

    op.create_index("ix_mainstay_inbox_due_at", "mainstay_inbox", ["due_at", "id"], unique=False)
    op.create_index("ix_mainstay_inbox_place", "mainstay_inbox", ["place", "id"], unique=False)
    op.create_index("ix_mainstay_inbox_step", "mainstay_inbox", ["step", "id"], unique=False)

    op.create_table(
        "mainstay_lease",
        sa.Column("id", types.Uuid(), nullable=False),
        sa.Column("version", types.Integer(), nullable=False),
        sa.Column("created_at", types.DateTime(), nullable=False),
        sa.Column("updated_at", types.DateTime(), nullable=False),
        sa.Column("name", types.Text(), nullable=False),
        sa.Column("holder", types.Text(), nullable=False),
        sa.Column("until", types.DateTime(), nullable=False),
        sa.Column("fence", types.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mainstay_lease")),
        sa.UniqueConstraint("name", name=op.f("uq_mainstay_lease_name")),
        sqlite_strict=True,
    )

    op.create_table(
        "mainstay_outbox",
        sa.Column("id", types.Uuid(), nullable=False),
        sa.Column("version", types.Integer(), nullable=False),
        sa.Column("created_at", types.DateTime(), nullable=False),
        sa.Column("updated_at", types.DateTime(), nullable=False),
        sa.Column("event", types.Text(), nullable=False),
        sa.Column("key", types.Text(), nullable=True),
        sa.Column("payload", types.Text(), nullable=False),
        sa.Column("principal", types.Text(), nullable=False),
        sa.Column("request_id", types.Text(), nullable=False),
        sa.Column("traceparent", types.Text(), nullable=True),
        sa.Column("dataversion", types.Integer(), nullable=False),
        sa.Column("sequence", types.Integer(), nullable=False),
        sa.Column("previous", types.Integer(), nullable=False),
        sa.Column("place", types.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mainstay_outbox")),
        sqlite_strict=True,
    )

    op.create_index("ix_mainstay_outbox_place", "mainstay_outbox", ["place", "id"], unique=False)

    op.create_table(
        "mainstay_sequence",
        sa.Column("id", types.Uuid(), nullable=False),
        sa.Column("version", types.Integer(), nullable=False),
        sa.Column("created_at", types.DateTime(), nullable=False),
        sa.Column("updated_at", types.DateTime(), nullable=False),
        sa.Column("event", types.Text(), nullable=False),
        sa.Column("key", types.Text(), nullable=False),
        sa.Column("last", types.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mainstay_sequence")),
        sqlite_strict=True,
    )

    op.create_index("ix_mainstay_sequence_last", "mainstay_sequence", ["last", "id"], unique=False)


def downgrade() -> None:
    op.drop_table("mainstay_sequence")
    op.drop_table("mainstay_outbox")
    op.drop_table("mainstay_lease")
    op.drop_table("mainstay_inbox")
    op.drop_table("mainstay_idempotency")
    op.drop_table("mainstay_consumer")
    op.drop_table("bench_item")
