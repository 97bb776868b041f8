"""Audited resources at the HTTP door: what each request did, by whom, and in which call."""

from __future__ import annotations

from uuid import UUID

import pytest

from mainstay import (
    AuditEntry,
    AuditTrail,
    Deleted,
    Entity,
    Event,
    Events,
    Module,
    Page,
    Principal,
    Repository,
    Service,
    authenticated,
    field,
    owner,
    role,
)
from mainstay.ports.auditing import AuditRow
from mainstay.ports.rows import Query
from mainstay.testing import Client, as_principal

notes = Module("notes")


class Note(Entity, audit=True, soft_delete=True, rows=owner("owner_id") | role("lead")):
    """A note whose changes are written down."""

    owner_id: UUID
    title: str = field(unique=True, max_length=40)
    secret: str = field(default="", secret=True)


class Plain(Entity):
    """A row that is not audited."""

    text: str = ""


class Shouted(Event):
    """A note is to be shouted."""

    note_id: UUID


notes.resource(
    Note, path="/notes", read=authenticated, create=authenticated, update=authenticated, delete=authenticated
)
notes.resource(Plain, path="/plain", read=authenticated, create=authenticated)


@notes.query("GET /notes/{note_id}/changes", allow=authenticated)
async def changes(note_id: UUID, trail: AuditTrail[Note], cursor: str | None = None) -> Page[AuditEntry]:
    """Say what was done to a note."""
    return await trail.of(note_id, limit=2, cursor=cursor)


@notes.query("GET /bin", allow=authenticated)
async def deleted_notes(deleted: Deleted[Note]) -> Page[Note]:
    """List the notes that were deleted."""
    return await deleted.page(sort="-deleted_at")


@notes.command("POST /bin/{note_id}/restore", allow=authenticated)
async def restore(note_id: UUID, deleted: Deleted[Note]) -> Note:
    """Bring a note back."""
    return await deleted.restore(note_id)


@notes.command("POST /notes/{note_id}/shout", allow=authenticated)
async def shout(note_id: UUID, events: Events) -> None:
    """Have a note shouted."""
    events.emit(Shouted(note_id=note_id))


@notes.on(Shouted)
async def shouted(event: Shouted, rows: Repository[Note], who: Principal) -> None:
    """Shout it."""
    assert who.authenticated
    note = await rows.get(event.note_id)
    await rows.update(note, title=note.title.upper())


SERVICE = Service("notes", version="1.0.0", modules=[notes])
ANN, BOB = as_principal("ann"), as_principal("bob")


@pytest.mark.asyncio
async def test_each_request_leaves_its_entry_and_only_who_may_see_the_row_reads_it() -> None:
    async with Client(SERVICE) as client:
        made = await client.post("/notes", who=ANN, json={"title": "tea", "secret": "hush"})
        path = f"/notes/{made.json['id']}"
        trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "x-request-id": "r-1"}
        await client.patch(path, who=ANN, json={"title": "more tea"}, headers=trace)
        await client.post(f"{path}/shout", who=ANN)
        await client.deliver()
        assert (await client.delete(path, who=ANN)).status == 204
        assert (await client.get(path, who=ANN)).status == 404
        (gone,) = (await client.get("/bin", who=ANN)).json["items"]
        assert (gone["title"], gone["deleted_at"] is None) == ("MORE TEA", False)
        assert (await client.get("/bin", who=BOB)).json["items"] == []
        assert (await client.post(f"/bin/{made.json['id']}/restore", who=BOB)).status == 404
        back = await client.post(f"/bin/{made.json['id']}/restore", who=ANN)
        assert (back.json["deleted_at"], back.json["version"]) == (None, 5)
        entries, cursor = [], ""
        while True:
            page = await client.get(f"{path}/changes{cursor}", who=ANN)
            entries += page.json["items"]
            if "next" not in page.json:
                break
            cursor = f"?cursor={page.json['next']}"
        assert (await client.get(f"{path}/changes", who=BOB)).status == 404
        assert "hush" not in repr(entries)
        assert [(each["action"], each["operation"], each["actor"]) for each in entries] == [
            ("restore", "restore", "ann"),
            ("delete", "delete_note", "ann"),
            ("update", "shouted", "ann"),
            ("update", "update_note", "ann"),
            ("add", "create_note", "ann"),
        ]
        assert entries[3]["changes"] == {"title": {"old": "tea", "new": "more tea"}}
        assert (entries[3]["request_id"], entries[3]["traceparent"].split("-")[1]) == (
            "r-1",
            trace["traceparent"].split("-")[1],
        )
        assert entries[4]["changes"]["secret"] == {"old": None, "new": "***"}


@pytest.mark.asyncio
async def test_a_refused_request_leaves_none_and_a_repeated_one_leaves_one() -> None:
    async with Client(SERVICE) as client:
        for _ in range(2):
            assert (await client.post("/notes", who=ANN, json={"title": "tea"}, key="k")).status == 201
        assert (await client.post("/notes", who=BOB, json={"title": "tea"})).status == 409
        assert (await client.post("/plain", who=ANN, json={})).status == 201
        transaction = client.bound.ports.store.begin(write=False)
        assert len(await transaction.rows(AuditRow).fetch(Query())) == 1
        await transaction.rollback()
        schemas = (await client.get("/openapi.json")).json["components"]["schemas"]
    assert schemas["Note"]["properties"]["deleted_at"]["readOnly"] is True
    assert not [name for name, schema in schemas.items() if name.startswith("NoteC") and "deleted_at" in repr(schema)]


def test_a_service_without_audited_entities_has_no_table_for_it() -> None:
    module = Module("plain")
    module.resource(Plain, path="/plain", read=authenticated)
    assert "mainstay_audit" not in {t.name for t in Client(Service("p", modules=[module])).bound.tables}
    assert "mainstay_audit" in {t.name for t in Client(SERVICE).bound.tables}
