"""A service with data of persons: rows that go with them, are emptied or kept, with encrypted fields among them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from uuid import UUID

from mainstay import (
    Dto,
    Entity,
    Event,
    Events,
    Many,
    Module,
    Principal,
    Repository,
    Service,
    Stream,
    authenticated,
    field,
    owner,
    person,
    related,
    role,
)
from mainstay.testing import Client

clinic = Module("clinic")
STAFF = role("staff")


class Patient(Entity, audit=True, person=person("id", erase="anonymise")):
    """Somebody who is looked after."""

    visits: Many[Visit] = related("patient_id")

    name: str = field(default="", max_length=200, personal=True, searchable=True)
    email: str | None = field(default=None, unique=True, personal=True)
    born: date | None = field(default=None, encrypted=True, personal=True)
    history: str | None = field(default=None, encrypted=True, personal=True, read=role("doctor"))
    photo: str | None = field(default=None, personal="blob")
    tags: list[str] = field(default_factory=list, personal=True)


class Visit(Entity, audit=True, soft_delete=True, person="patient_id", rows=owner("patient_id") | STAFF):
    """A visit, booked by the patient."""

    patient_id: UUID = field(references=Patient)
    note: str = field(default="", searchable=True)
    findings: str | None = field(default=None, encrypted=True)
    after_id: UUID | None = field(default=None, references="Visit")


class Remark(Entity, person="visit_id"):
    """What was said of a visit."""

    visit_id: UUID = field(references=Visit)
    text: str


class Letter(Entity, audit=True, person="patient_id"):
    """A letter to a patient."""

    patient_id: UUID
    text: str


class Bill(Entity, audit=True, person=person("patient_id", erase="keep", reason="tax law, 10 years")):
    """What a visit came to."""

    patient_id: UUID
    amount: Decimal = field(digits=10, places=2)


class Rating(Entity, audit=True, person=person("patient_id", erase="anonymise")):
    """What a patient thought of it."""

    patient_id: UUID | None = None
    stars: int = field(ge=1, le=5)
    text: str | None = field(default=None, personal=True)


class Booked(Event):
    """A visit was booked."""

    patient_id: UUID
    note: str


class Book(Dto):
    """A visit to be booked."""

    note: str


clinic.resource(Patient, path="/patients", read=STAFF, create=STAFF, update=STAFF, delete=STAFF)
clinic.resource(Visit, path="/visits", read=authenticated, update=authenticated, delete=authenticated)
for _entity in (Remark, Letter, Bill, Rating):
    clinic.resource(_entity, path=f"/{_entity.__name__.lower()}s", read=STAFF, create=STAFF, update=STAFF, delete=STAFF)


@clinic.command("POST /bookings", status=201, allow=authenticated)
async def book(wanted: Book, who: Principal, visits: Repository[Visit], events: Events) -> Visit:
    """Book a visit for oneself."""
    events.emit(Booked(patient_id=who.id, note=wanted.note))
    return await visits.add(Visit(patient_id=who.id, note=wanted.note))


@clinic.query("GET /histories", allow=STAFF)
async def histories(rows: Repository[Patient]) -> Stream[Patient]:
    """Give all patients, one after another."""
    return Stream(rows.stream())


@clinic.on(Booked, attempts=1)
async def remind(event: Booked) -> None:
    """Fail for a note that says so: its message becomes a dead letter."""
    if "fails" in event.note:
        raise RuntimeError("no reminder today")


SERVICE = Service("clinic", version="1.0.0", modules=[clinic])
DOCTOR = Principal(id=UUID(int=0xD0C), subject="doc", roles=frozenset({"staff", "doctor"}))
CLERK = Principal(id=UUID(int=0xC1E), subject="clerk", roles=frozenset({"staff"}))


def patient(id: UUID, name: str) -> Principal:
    """Return a patient as a caller."""
    return Principal(id=id, subject=name)


async def admit(client: Client, mark: str) -> UUID:
    """Fill the clinic with the data of one patient, each text of it with a mark; return the patient's id."""
    made = await client.post(
        "/patients",
        who=CLERK,
        key=f"{mark}-1",
        json={"name": f"{mark} name", "email": f"{mark}@example.com", "born": "1970-02-03", "tags": [f"{mark} tag"]},
    )
    id = UUID(made.json["id"])
    treated = await client.patch(f"/patients/{id}", who=DOCTOR, json={"history": f"{mark} history"})
    assert treated.status == 200, treated.json
    me = patient(id, f"{mark} subject")
    visit = await _visited(client, me, mark)
    texts: Mapping[str, Mapping[str, object]] = {
        "/remarks": {"visit_id": visit, "text": f"{mark} remark"},
        "/letters": {"patient_id": str(id), "text": f"{mark} letter"},
        "/bills": {"patient_id": str(id), "amount": "12.50"},
        "/ratings": {"patient_id": str(id), "stars": 5, "text": f"{mark} rating"},
    }
    for path, body in texts.items():
        answer = await client.post(path, who=CLERK, json=body, key=f"{mark}{path}")
        assert answer.status == 201, answer.json
    thrown = await client.post("/letters", who=CLERK, json={"patient_id": str(id), "text": f"{mark} thrown away"})
    await client.delete(f"/letters/{thrown.json['id']}", who=CLERK)
    return id


async def _visited(client: Client, me: Principal, mark: str) -> str:
    """Book two visits that are linked, one of them deleted and kept, and one whose event becomes a dead letter."""
    first = await client.post("/bookings", who=me, json={"note": f"{mark} first"}, key=f"{mark}-2")
    again = await client.post("/bookings", who=me, json={"note": f"{mark} again, fails"})
    await client.patch(
        f"/visits/{again.json['id']}", who=me, json={"after_id": first.json["id"], "findings": f"{mark} findings"}
    )
    gone = await client.post("/bookings", who=me, json={"note": f"{mark} gone"})
    await client.delete(f"/visits/{gone.json['id']}", who=me)
    id: str = first.json["id"]
    return id
