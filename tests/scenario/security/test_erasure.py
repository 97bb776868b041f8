"""A person is exported and forgotten: afterwards no table holds anything of it, and everything of everybody else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import apsw
import asyncpg
import msgspec
import postgres_schemas
import pytest
import pytest_asyncio
from clinic_service import CLERK, SERVICE, Bill, Patient, Rating, admit
from clinic_service import patient as caller

from mainstay.adapters.memory.blobs import MemoryBlobs
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.app.privacy import erasing
from mainstay.app.privacy.erasing import Erasure, erase
from mainstay.app.privacy.exporting import ExportedPerson, export
from mainstay.kernel.flow.records import IdempotencyRecord, InboxMessage, State
from mainstay.testing import Client, FixedClock

ANN, BOB = "mark-of-ann", "mark-of-bob"
Dump = Callable[[], Awaitable[str]]


async def _sqlite_dump(path: Path) -> str:
    # By the library that the store is on: another one in this process would let go of the locks of the file.
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [str(row) for name in names for row in connection.execute(f'SELECT * FROM "{name}"')]
    return "\n".join(rows)


async def _postgres_dump(schema: str) -> str:
    connection = await asyncpg.connect(postgres_schemas.server_url())
    try:
        names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", schema)
        rows: list[str] = []
        for name in names:
            found = await connection.fetch(f'SELECT to_jsonb(t)::text AS row FROM "{schema}"."{name["tablename"]}" t')
            rows += [row["row"] for row in found]
    finally:
        await connection.close()
    return "\n".join(rows)


class Clinic:
    """The service with the data of two patients, and a look into its tables."""

    def __init__(self, client: Client, dump: Dump) -> None:
        self.client = client
        self.dump = dump
        self.blobs = MemoryBlobs(client.clock)
        self.ann = self.bob = UUID(int=0)

    async def fill(self) -> None:
        self.ann, self.bob = await admit(self.client, ANN), await admit(self.client, BOB)
        for id in (self.ann, self.bob):
            await self.blobs.put(f"photos/{id}", b"a face")
            await self.client.patch(f"/patients/{id}", who=CLERK, json={"photo": f"photos/{id}"})
        self.client.raise_errors = False
        await self.client.deliver()

    async def erase(self, **more: Any) -> Erasure:
        return await erase(self.client.bound, self.ann, self.blobs, **more)

    async def export(self, person: UUID) -> ExportedPerson:
        return await export(self.client.bound, person)


@pytest_asyncio.fixture(params=["sqlite", "postgresql"])
async def clinic(request: Any, tmp_path: Path) -> AsyncIterator[Clinic]:
    clock = FixedClock()
    path = tmp_path / "clinic.sqlite"
    if request.param == "sqlite":
        store: Any = SqliteStore(path, create=True, synchronous="off", clock=clock.monotonic)
    else:
        store = postgres_schemas.SchemaStore(tmp_path, clock=clock.monotonic)
    async with Client(SERVICE, store=store, clock=clock) as client:

        async def dump() -> str:
            return await (_sqlite_dump(path) if request.param == "sqlite" else _postgres_dump(store.schema))

        made = Clinic(client, dump)
        await made.fill()
        yield made
    if request.param == "postgresql":
        await postgres_schemas.execute(f"DROP SCHEMA {store.schema} CASCADE")


def _counts(done: Erasure) -> dict[str, int]:
    return {each.entity.partition(".")[2]: each.rows for each in done.entities}


ALL = {"Patient": 1, "Visit": 3, "Remark": 1, "Letter": 1, "Bill": 1, "Rating": 1}


async def test_afterwards_no_table_holds_anything_of_the_person(clinic: Clinic) -> None:
    before = await clinic.dump()
    assert before.count(ANN) == before.count(BOB) > 20
    planned = await clinic.erase(dry_run=True)
    assert await clinic.dump() == before
    done = await clinic.erase()
    assert _counts(done) == _counts(planned) == ALL
    assert msgspec.structs.replace(planned, transactions=1) == done
    assert done.complete
    assert (done.objects, done.messages_emptied, done.transactions) == (1, 3, 1)
    after = await clinic.dump()
    assert after.count(ANN) == 0
    assert after.count(BOB) == before.count(BOB)
    assert not await clinic.blobs.exists(f"photos/{clinic.ann}")
    assert await clinic.blobs.exists(f"photos/{clinic.bob}")


async def test_what_is_left_is_what_was_to_be_kept(clinic: Clinic) -> None:
    rating = (await clinic.client.stored(Rating, patient_id=clinic.ann))[0]
    await clinic.erase()
    (patient,) = await clinic.client.stored(Patient, id=clinic.ann)
    assert (patient.name, patient.email, patient.born, patient.history, patient.tags) == ("", None, None, None, [])
    (bill,) = await clinic.client.stored(Bill, patient_id=clinic.ann)
    assert str(bill.amount) == "12.50"
    (kept,) = await clinic.client.stored(Rating, id=rating.id)
    assert (kept.patient_id, kept.stars, kept.text) == (None, 5, None)
    assert (await clinic.client.get("/patients?search=ann", who=CLERK)).json["items"] == []
    again = await clinic.erase()
    assert _counts(again) == {**dict.fromkeys(ALL, 0), "Bill": 1}
    assert (again.entries_deleted, again.entries_emptied, again.replies_emptied) == (0, 0, 0)


async def test_a_replay_says_no_more_than_that_its_key_is_used(clinic: Clinic) -> None:
    told = [record.reply for record in await clinic.client.stored(IdempotencyRecord)]
    assert sum(ANN.encode() in reply for reply in told) == 5
    done = await clinic.erase()
    assert done.replies_emptied == 6  # a bill names the person by its id alone
    body = {"patient_id": str(clinic.ann), "text": f"{ANN} letter"}
    again = await clinic.client.post("/letters", who=CLERK, json=body, key=f"{ANN}/letters")
    assert (again.status, again.body, again.headers["idempotency-replayed"]) == (201, b"", "true")


async def test_events_that_wait_are_told_and_go_once_they_are_delivered(clinic: Clinic) -> None:
    ended = [m for m in await clinic.client.stored(InboxMessage) if str(clinic.ann) in m.payload]
    assert State.DEAD in {message.state for message in ended}
    booked = await clinic.client.post("/bookings", who=CLERK, json={"note": f"for {clinic.ann}"})
    assert booked.status == 409  # the clerk is no patient
    await _book_for(clinic)
    done = await clinic.erase()
    assert (done.waiting, done.complete) == (1, False)
    assert await clinic.client.deliver() == 1
    assert (await clinic.erase()).complete


async def _book_for(clinic: Clinic) -> None:
    (patient,) = await clinic.client.stored(Patient, id=clinic.ann)
    answer = await clinic.client.post("/bookings", who=caller(patient.id, "ann"), json={"note": "one more"})
    assert answer.status == 201


async def test_many_rows_go_in_several_transactions(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "AT_ONCE", 3)
    done = await clinic.erase()
    assert _counts(done) == ALL
    assert done.transactions > 5
    assert ANN not in await clinic.dump()


async def test_the_export_has_everything_and_opens_what_is_encrypted(clinic: Clinic) -> None:
    found = await clinic.export(clinic.ann)
    text = msgspec.json.encode(found).decode()
    rows = {each.entity.partition(".")[2]: len(each.rows) for each in found.entities}
    assert rows == ALL
    assert found.count == sum(ALL.values())
    for what in ("name", "history", "findings", "remark", "letter", "thrown away", "rating", "first", "gone", "tag"):
        assert f"{ANN} {what}" in text
    assert '"born":"1970-02-03"' in text
    assert BOB not in text
    assert str(clinic.bob) not in text
    assert found.objects == [f"photos/{clinic.ann}"]
    assert any(entry.by_person for entry in found.audit)
    await clinic.erase()
    left = await clinic.export(clinic.ann)
    assert ANN not in msgspec.json.encode(left).decode()
    assert {each.entity for each in left.entities} == {"clinic.Patient", "clinic.Bill"}


async def test_nobody_has_nothing(clinic: Clinic) -> None:
    found = await clinic.export(UUID(int=5))
    assert (found.entities, found.audit, found.objects) == ([], [], [])
    done = await erase(clinic.client.bound, UUID(int=5))
    assert set(_counts(done).values()) == {0}


async def test_that_it_was_done_is_told(clinic: Clinic) -> None:
    await clinic.erase()
    notice = next(each for each in clinic.client.recorder.notices if each.event == "person_erased")
    assert notice.facts["person"] == str(clinic.ann)
    assert ANN not in repr(notice)
