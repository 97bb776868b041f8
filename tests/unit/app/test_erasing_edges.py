"""Erasures that meet something: rows that refer and say nothing, objects without a store, commands of the service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio

from mainstay import Entity, Module, Service, anyone, authenticated, field, owner, person
from mainstay.adapters.memory.transaction import MemoryTransaction
from mainstay.app.privacy.belongings import claims, unclaimed
from mainstay.app.privacy.erasing import erase
from mainstay.app.privacy.exporting import export
from mainstay.app.refusal import Refusal
from mainstay.model.problem import SerializationConflict
from mainstay.ports.security_log import SecurityEvent, SecurityLog
from mainstay.testing import Client, as_principal


class Member(Entity, person="id"):
    """A row is a person."""

    name: str = field(personal=True)
    photo: str | None = field(default=None, personal="blob")


class Badge(Entity, person="member_id"):
    """What goes with a member."""

    member_id: UUID = field(references=Member)
    secret: str = field(default="", secret=True)


class Loan(Entity):
    """It refers to a badge, and says of nobody whose it is."""

    badge_id: UUID = field(references=Badge)


class Wish(Entity, rows=owner("member_id")):
    """It has an owner, and says nothing."""

    member_id: UUID


class Noted(SecurityLog):
    """Keeps what is noted."""

    def __init__(self) -> None:
        self.events: list[SecurityEvent] = []

    def note(self, event: SecurityEvent) -> None:
        self.events.append(event)


module = Module("club")
module.resource(Member, path="/members", read=anyone, create=anyone)
module.resource(Badge, path="/badges", read=anyone, create=anyone)
module.resource(Loan, path="/loans", read=anyone, create=anyone)
module.resource(Wish, path="/wishes", read=authenticated, create=authenticated)
SERVICE = Service("club", version="1", modules=[module])
ANN = UUID(int=0xA << 80 | 0x7 << 76 | 0x8 << 60)


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(SERVICE) as made:
        await made.given(Member(id=ANN, name="Ann"))
        yield made


async def test_what_refers_to_a_row_and_says_nothing_keeps_it(client: Client) -> None:
    (badge,) = await client.given(Badge(member_id=ANN, secret="s3cret"))
    (loan,) = await client.given(Loan(badge_id=badge.id))
    with pytest.raises(Refusal, match=r"nothing more is erased: other rows refer to this Badge"):
        await erase(client.bound, ANN)
    assert len(await client.stored(Badge)) == len(await client.stored(Member)) == 1
    assert [fault.subject for fault in unclaimed(client.bound)] == ["Loan", "Wish"]
    assert (await client.stored(Loan)) == [loan]


async def test_secret_fields_are_named_and_withheld(client: Client) -> None:
    await client.given(Badge(member_id=ANN, secret="s3cret"))
    found = await export(client.bound, ANN)
    (badges,) = [each for each in found.entities if each.entity == "club.Badge"]
    assert badges.withheld == ["secret"]
    assert "secret" not in badges.rows[0]
    assert found.audit == []


async def test_objects_without_a_store_are_refused_and_nothing_is_done(client: Client) -> None:
    await client.given(Member(id=UUID(int=ANN.int + 1), name="Bob", photo="photos/bob"))
    with pytest.raises(Refusal, match="rows of the person name objects"):
        await erase(client.bound, UUID(int=ANN.int + 1))
    assert len(await client.stored(Member)) == 2


async def test_a_command_that_is_met_is_let_go_first(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    original, refused = MemoryTransaction.commit, [0]

    async def commit(transaction: MemoryTransaction) -> None:
        if refused[0]:
            refused[0] -= 1
            raise SerializationConflict
        await original(transaction)

    monkeypatch.setattr(MemoryTransaction, "commit", commit)
    refused[0] = 1000
    with pytest.raises(SerializationConflict):
        await erase(client.bound, ANN)
    refused[0] = 2
    assert sum(each.rows for each in (await erase(client.bound, ANN)).entities) == 1


async def test_a_service_that_notes_security_events_notes_it() -> None:
    noted = Noted()
    service = Service("club", version="1", modules=[module])
    service.provide(SecurityLog, lambda: noted, scope="service")
    async with Client(service) as client:
        await client.given(Member(id=ANN, name="Ann"))
        await erase(client.bound, ANN, dry_run=True)
        assert noted.events == []
        await erase(client.bound, ANN)
        (event,) = noted.events
        assert (event.kind, event.subject, dict(event.facts)) == ("person.erased", ANN, {"rows": 1})


async def test_the_order_of_claims_is_that_of_references(client: Client) -> None:
    found = claims(client.bound)
    assert [claim.entity for claim in found] == [Member, Badge]
    assert found[1].above is Member
    assert as_principal("ann").id != ANN


def test_person_says_what_becomes_of_rows() -> None:
    assert person("id").erase == "delete"
