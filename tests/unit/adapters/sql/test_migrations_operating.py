"""``alembic.op`` is one for a process: who runs revision files has it alone."""

from __future__ import annotations

import threading

import sqlalchemy as sa
from alembic import op
from alembic.migration import MigrationContext
from alembic.operations import Operations

from mainstay.adapters.sql.migrations.operating import operating


def test_a_thread_that_runs_files_keeps_its_operations_until_its_end() -> None:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        mine, others = (Operations(MigrationContext.configure(connection)) for _ in range(2))
        found: list[object] = []

        def other() -> None:
            with operating(others):
                found.append(op.get_context())

        with operating(mine):
            thread = threading.Thread(target=other)
            thread.start()
            thread.join(0.1)
            assert thread.is_alive()
            assert op.get_context() is mine.migration_context
        thread.join()
    engine.dispose()
    assert found == [others.migration_context]
