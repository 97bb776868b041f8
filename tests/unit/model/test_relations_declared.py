"""Relations as a team declares them: to one row, to many, through others; and what start-up refuses of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from mainstay import Dto, Entity, Many, Module, One, Service, field, related
from mainstay.model.checks import check_service
from mainstay.model.fields import Relation
from mainstay.model.schema import FieldKind, shape_of


class Category(Entity):
    parent_id: UUID | None = field(references="Category", default=None)
    parent: One[Category] = related("parent_id")
    products: Many[Product] = related("category_id")


class Product(Entity):
    category_id: UUID = field(references=Category)
    category: One[Category] = related("category_id")
    tags: Many[Tag] = related(through="ProductTag")


class Tag(Entity):
    products: Many[Product] = related(through="ProductTag")


class ProductTag(Entity):
    product_id: UUID = field(references=Product)
    tag_id: UUID = field(references="Tag")


class Person(Entity):
    friends: Many[Person] = related("person_id", through="Friendship")
    befriended: Many[Person] = related(through="Friendship", to="person_id")


class Friendship(Entity):
    person_id: UUID = field(references=Person)
    friend_id: UUID = field(references=Person)


class Loose(Entity):
    product_id: UUID = field(references=Product)
    tag_id: UUID
    other_id: UUID | None = field(references=Category, default=None)


class Plain(Dto):
    name: str


def declared(annotation: Any, relation: Any, **more: Any) -> type[Entity]:
    """Make an entity with one relation, and with fields as (annotation, default)."""
    body: dict[str, Any] = {
        "__module__": __name__,
        "__annotations__": {"rel": annotation, **{n: a for n, (a, _) in more.items()}},
        "rel": relation,
    }
    return type(Entity)("Made", (Entity,), {**body, **{n: v for n, (_, v) in more.items()}})


def faults_of(*entities: type[Entity]) -> list[str]:
    module = Module("shop")
    module.entity(*entities)
    return [f"{f.subject}: {f.message}" for f in check_service(Service("s", modules=[module])).faults]


def test_sound_relations_have_all_that_they_are_found_by() -> None:
    assert faults_of(Product, Tag, ProductTag, Person, Friendship) == []
    shape = shape_of(Product)
    assert [(r.name, r.kind, r.base) for r in shape.relations] == [
        ("category", FieldKind.ONE, Category),
        ("tags", FieldKind.MANY, Tag),
    ]
    assert shape.by_name["tags"].relation == Relation(key="product_id", through=ProductTag, to="tag_id")
    assert shape_of(Tag).by_name["products"].relation == Relation(key="tag_id", through=ProductTag, to="product_id")
    friends = shape_of(Person).by_name
    assert friends["friends"].relation == Relation(key="person_id", through=Friendship, to="friend_id")
    assert friends["befriended"].relation == Relation(key="friend_id", through=Friendship, to="person_id")


def test_an_entity_between_belongs_to_the_module_that_names_it() -> None:
    module = Module("shop")
    module.entity(Tag)
    assert ProductTag in check_service(Service("s", modules=[module])).owners


UUID_FIELD = (UUID, field())


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (declared(One[Plain], related("x")), "related('x') needs the type Many[SomeEntity] or One[SomeEntity]"),
        (declared(str, related(through=ProductTag)), "related(...) needs the type Many[SomeEntity]"),
        (declared(One[Tag], ...), "needs = related(...)"),
        (declared(One[Tag], related()), "needs the name of the field that refers"),
        (declared(Many[Tag], related("x", to="y")), "to= needs through="),
        (declared(One[Tag], related(through=ProductTag)), "leave through= out"),
        (declared(Many[Tag], related(through="Missing")), "through='Missing' is no entity"),
        (declared(Many[Tag], related(through=Plain)), "is no entity"),
        (declared(Many[Tag], related(through=ProductTag)), "ProductTag has no field that refers to Made"),
        (declared(Many[Person], related("x", through=Friendship)), "more than one field that refers to Person"),
        (declared(Many[Category], related("product_id", through=Loose)), "Loose.product_id does not refer to Made"),
        (declared(Many[Tag], related("x", through=Loose, to="tag_id")), "Loose has no field x"),
        (declared(Many[Tag], related("product_id", through=Loose, to="tag_id")), "Loose.tag_id does not refer to Tag"),
        (declared(One[Tag], related("missing")), "Made has no field missing"),
        (declared(One[Tag], related("tag_id"), tag_id=UUID_FIELD), "Made.tag_id does not refer to Tag"),
        (
            declared(One[Tag], related("tag_id"), tag_id=(UUID, field(references=Product))),
            "Made.tag_id does not refer to Tag",
        ),
    ],
)
def test_what_does_not_say_how_its_rows_are_found_is_refused(made: type[Entity], message: str) -> None:
    assert any(message in fault for fault in faults_of(made)), faults_of(made)


def test_what_the_check_of_a_relation_cannot_resolve_is_told_once() -> None:
    broken = declared(Many[Tag], related("made_id", through=declared("Nowhere", ...), to="tag_id"))
    assert [fault for fault in faults_of(broken) if "Nowhere" in fault] != []
