"""Migrations: the schema follows the model by reviewed files in the team's tree, carried out with Alembic.

A database is changed by one runner at a time, revision by revision: each in one transaction, or on a server that others
work on in steps, which a runner that comes after one that was killed goes on with.
These functions wait for the disk: call them in a thread where an event loop runs, and not while a store has the file
open in the same process. Alembic is imported by the functions that need it, and not before.
"""

from mainstay.adapters.sql.migrations.commands import (
    Checked,
    Plan,
    Planned,
    Status,
    check,
    check_compatible,
    migrate,
    pending,
    plan,
    rollback,
    status,
)
from mainstay.adapters.sql.migrations.files import MigrationFault, Phase
from mainstay.adapters.sql.migrations.sqlite_target import SqliteTarget
from mainstay.adapters.sql.migrations.target import Target

__all__ = [
    "Checked",
    "MigrationFault",
    "Phase",
    "Plan",
    "Planned",
    "SqliteTarget",
    "Status",
    "Target",
    "check",
    "check_compatible",
    "migrate",
    "pending",
    "plan",
    "rollback",
    "status",
]
