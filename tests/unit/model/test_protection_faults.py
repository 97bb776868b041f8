"""Protected fields and personal data: what is refused of them at start-up, with the place and what to do."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import pytest

from mainstay import (
    Dto,
    Entity,
    Find,
    Many,
    Module,
    Page,
    Repository,
    Secret,
    Service,
    Stream,
    anyone,
    field,
    owner,
    person,
    related,
    resume_after,
    where,
)
from mainstay.model.checks import check_service
from mainstay.model.policy import Prepared
from mainstay.model.predicates import condition_of

HIDDEN: Any = field(default="", encrypted=True)


def faults(*entities: type[Entity], module: Module | None = None) -> str:
    """Return what is refused of a service with these entities, one a line."""
    module = module or Module("shop")
    module.entity(*entities)
    return "\n".join(map(str, check_service(Service("shop", modules=[module])).faults))


class Unique(Entity):
    card: str = field(unique=True, encrypted=True)


class Indexed(Entity):
    card: str = field(index=True, encrypted=True)


class Searchable(Entity):
    card: str = field(searchable=True, encrypted=True)


class Target(Entity):
    name: str


class Referring(Entity):
    target_id: UUID = field(references=Target, encrypted=True)


class Looking(Entity):
    card: str = HIDDEN

    def __post_init__(self) -> None:
        assert self.card


class Labelled(Entity):
    card: str = field(encrypted="a\nb")


class Owned(Entity, rows=owner("owner_id")):
    owner_id: UUID = field(encrypted=True)


class Filtered(Entity, rows=where(lambda row, who: row.region == who.claims["region"])):
    region: str = field(encrypted=True)


class Prescribed(Entity, rows=Prepared(condition_of(lambda row, who: row.region == who.subject), "cedar")):
    region: str = field(encrypted=True)


class Masked(Entity):
    region: str = field(encrypted=True)
    name: str = field(read=where(lambda row, who: row.region == who.subject))


class Tenants(Entity, tenant="org"):
    org: str = field(encrypted=True)


class Item(Entity):
    basket_id: UUID = field(encrypted=True)


class Basket(Entity):
    items: Many[Item] = related("basket_id")


@pytest.mark.parametrize(
    ("entity", "message"),
    [
        (Unique, "Unique.card: unique, and no store can tell equal values"),
        (Indexed, "Indexed.card: index, and no store"),
        (Searchable, "Searchable.card: searchable, and no store"),
        (Referring, "Referring.target_id: references, and no store"),
        (Looking, "Looking.card: encrypted, and __post_init__ would meet the stored form"),
        (Labelled, "Labelled.card: the label of an encrypted field is printable text"),
        (Owned, "Owned rows=: it looks at owner_id, which is encrypted"),
        (Filtered, "Filtered rows=: it looks at region, which is encrypted"),
        (Prescribed, "Prescribed rows=: it looks at region, which is encrypted"),
        (Masked, "Masked.name: it looks at region, which is encrypted"),
        (Tenants, "Tenants tenant=: org is encrypted"),
        (Basket, "Basket.items: Item.basket_id is encrypted: the rows of the relation could not be found"),
    ],
)
def test_nothing_rests_on_what_no_store_can_look_at(entity: type[Entity], message: str) -> None:
    assert message in faults(entity, Target, Item)


class Paid(Dto):
    card: str = field(encrypted=True)
    name: str = field(personal=True)


def test_what_is_not_stored_is_not_protected() -> None:
    module = Module("shop")

    @module.command("POST /paid", allow=anyone)
    async def pay(paid: Paid) -> None: ...

    found = faults(module=module)
    assert "Paid.card: encrypted is for fields of an entity" in found
    assert "Paid.name: personal is for fields of an entity" in found


class Fine(Entity, person="person_id"):
    person_id: UUID
    card: str | None = field(default=None, encrypted="cards", personal=True, max_length=20)
    token: Secret[str] = field(default=Secret(""), encrypted=True)
    photo: str | None = field(default=None, personal="blob")


def test_what_fits_is_accepted() -> None:
    assert faults(Fine) == ""


def test_a_predicate_that_fails_is_told_once() -> None:
    class Broken(Entity, rows=where(lambda row, who: row.name == 1 / 0)):
        name: str

    assert faults(Broken).count("the row predicate has no SQL form") == 1


class Reading(Entity):
    number: int = field(encrypted=True)


def test_a_stream_cannot_be_taken_up_from_an_encrypted_field() -> None:
    module = Module("shop")

    @module.query("GET /readings", allow=anyone)
    async def readings(
        rows: Repository[Reading], after: Annotated[int | None, resume_after("number")] = None
    ) -> Stream[Reading]:
        async for row in rows.stream():
            yield row

    assert "number is not for everybody to read" in faults(module=module)


def test_encrypted_fields_are_no_filters_of_a_search() -> None:
    module = Module("shop")

    @module.query("GET /fine", allow=anyone)
    async def listed(find: Find[Fine], rows: Repository[Fine]) -> Page[Fine]:
        return await rows.page(find)

    assert faults(module=module) == ""


class Nobody(Entity):
    name: str = field(personal=True)


class Odd(Entity, person="name"):
    name: str


class Missing(Entity, person="customer_id"):
    name: str


class Sealed(Entity, person="customer_id"):
    customer_id: UUID = field(encrypted=True)


class Loose(Entity, person="target_id"):
    target_id: UUID = field(references=Target)


class Ring(Entity, person="next_id"):
    next_id: UUID = field(references="Ring")


class Vague(Entity, person=person("customer_id", erase="keep")):
    customer_id: UUID


class Talkative(Entity, person=person("customer_id", reason="because")):
    customer_id: UUID


class Unknown(Entity, person=person("customer_id", erase="burn")):  # type: ignore[arg-type]
    customer_id: UUID


class Bare(Entity, person=person("customer_id", erase="anonymise")):
    customer_id: UUID | None = None


class Stuck(Entity, person=person("customer_id", erase="anonymise")):
    customer_id: UUID
    name: str = field(personal=True)
    mail: str = field(default="", unique=True, personal=True)


class Photo(Entity, person="customer_id"):
    customer_id: UUID
    photo: bytes = field(personal="blob")
    other: str = field(personal="blub")


@pytest.mark.parametrize(
    ("entity", "message"),
    [
        (Nobody, "Nobody.name: personal, and nothing says whose the rows are"),
        (Odd, "Odd person=: name is no field of type UUID"),
        (Missing, "Missing person=: customer_id is no field of type UUID"),
        (Sealed, "Sealed person=: customer_id is encrypted"),
        (Loose, "Loose person=: target_id refers to Target, which does not say whose its rows are"),
        (Ring, "Ring person=: next_id leads back to Ring, and to no person"),
        (Vague, "Vague person=: a reason belongs to erase="),
        (Talkative, "Talkative person=: a reason belongs to erase="),
        (Unknown, 'Unknown person=: erase="burn"'),
        (Bare, "Bare person=: there is nothing to empty"),
        (Stuck, "Stuck person=: name, mail, customer_id cannot be emptied"),
        (Photo, 'Photo.photo: personal="blob" is for str'),
        (Photo, "Photo.other: personal='blub'"),
    ],
)
def test_whose_a_row_is_can_be_told(entity: type[Entity], message: str) -> None:
    assert message in faults(entity, Target)


def test_person_takes_a_name_or_a_declaration() -> None:
    with pytest.raises(TypeError, match=r"person=7: it names a field"):

        class Wrong(Entity, person=7):  # type: ignore[call-arg]
            name: str


def test_a_class_has_the_person_of_its_base() -> None:
    class Derived(Fine):
        more: str = ""

    assert Derived.__mainstay_options__.person == person("person_id")
