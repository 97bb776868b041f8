"""Cedar policies as ours: for every caller and row, the answer of Cedar's own engine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import cedarpy
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.adapters.cedar.schema import ROW_ACTIONS, schema_of
from mainstay.adapters.cedar.statements import Statement, complaints, parsed
from mainstay.adapters.cedar.terms import Scene
from mainstay.adapters.cedar.translation import translated
from mainstay.cedar import cedar
from mainstay.model.checks import check_service
from mainstay.model.circumstances import Circumstances
from mainstay.model.conditions import FALSE, TRUE, holds
from mainstay.model.module import Module
from mainstay.model.policy import authenticated, prepare
from mainstay.model.principal import Principal
from mainstay.model.schema import Shapes
from mainstay.model.service import Service
from mainstay.model.structs import EPOCH, Entity
from mainstay.testing.client import Client
from mainstay.testing.people import as_principal


class Parcel(Entity):
    """What policies are tried on."""

    customer_id: UUID
    name: str
    total: int
    paid: bool
    region: str | None = None


SHAPE = Shapes().of(Parcel)
CLAIMS = {"region": str, "level": int, "trusted": bool}
SCHEMA = schema_of(SHAPE, CLAIMS, ROW_ACTIONS)

ANN, BOB = UUID(int=0xA), UUID(int=0xB)
ROBOT = Principal(id=UUID(int=0xC), subject="robot")
PEOPLE = [
    Principal(id=ANN, subject="ann", claims={"region": "north", "level": 3}, roles=frozenset({"support"})),
    Principal(id=BOB, subject="bob", claims={"level": 5, "trusted": True}, tenant="acme", scopes=frozenset({"read"})),
    Principal(id=BOB, subject="bob", claims={"trusted": False, "region": "south"}, actor=ROBOT),
]
ROWS = [
    Parcel(customer_id=customer, name=name, total=total, paid=paid, region=region)
    for customer, total, paid in ((ANN, 3, True), (BOB, 5, False))
    for name, region in (("tea", "north"), ("teapot", "south"), ("a teapot", None))
]

ATOMS = [
    "resource.customer_id == principal.id",
    f'resource.customer_id != "{ANN}"',
    "resource.total < 5",
    "5 <= resource.total",
    "resource.total > 3",
    "resource.total >= 4",
    "resource.paid",
    "resource.paid == true",
    'resource.name == "tea"',
    'resource.name != "tea"',
    'resource.name like "tea*"',
    'resource.name like "*tea*"',
    'resource.name like "tea"',
    'resource has region && resource.region == "north"',
    "resource has region",
    "resource has total",
    "principal has region && resource has region && resource.region == principal.region",
    "principal has level && resource.total == principal.level",
    "principal has level && principal.level > 3",
    "principal has trusted && principal.trusted",
    "principal has tenant",
    'principal has tenant && principal.tenant == "acme"',
    'principal.subject == "ann"',
    'principal.roles.contains("support")',
    "principal.scopes.contains(resource.name)",
    '["tea", "pot"].contains(resource.name)',
    '["ann", "eve"].contains(principal.subject)',
    'principal in Role::"support"',
    f'principal == User::"{BOB}"',
    f'principal in User::"{BOB}"',
    "principal is User",
    "resource is Parcel",
    "context.delegated",
    'context.protocol == "rest"',
    "context.operation == principal.subject",
    "resource.name == resource.name",
    "true",
    "false",
]
SCOPES = [
    "principal, action, resource",
    'principal in Role::"support", action, resource',
    'principal is User, action == Action::"read", resource is Parcel',
    'principal is User in Role::"support", action in [Action::"read", Action::"update"], resource',
    f'principal == User::"{ANN}", action in Action::"read", resource',
    'principal, action == Action::"delete", resource',
]
expressions = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: (
        st.builds("({} && {})".format, inner, inner)
        | st.builds("({} || {})".format, inner, inner)
        | st.builds("!({})".format, inner)
        | st.builds("(if {} then {} else {})".format, inner, inner, inner)
    ),
    max_leaves=5,
)
statements = st.builds(
    "{}({}) {} {{ {} }};".format,
    st.sampled_from(["permit", "permit", "forbid"]),
    st.sampled_from(SCOPES),
    st.sampled_from(["when", "unless"]),
    expressions,
)


def situated(who: Principal) -> Principal:
    return msgspec.structs.replace(who, circumstances=Circumstances(at=EPOCH, protocol="rest", operation="ann"))


def entities(who: Principal, row: Parcel) -> list[dict[str, Any]]:
    """Return a caller and a row as Cedar knows them."""
    known = {"id": str(who.id), "subject": who.subject, "roles": sorted(who.roles), "scopes": sorted(who.scopes)}
    known |= dict(who.claims) | ({} if who.tenant is None else {"tenant": who.tenant})
    fields = {"customer_id": str(row.customer_id), "name": row.name, "total": row.total, "paid": row.paid}
    fields |= {} if row.region is None else {"region": row.region}
    parents = [{"type": "Role", "id": role} for role in sorted(who.roles)]
    return [
        {"uid": {"type": "User", "id": str(who.id)}, "attrs": known, "parents": parents},
        {"uid": {"type": "Parcel", "id": "1"}, "attrs": {**fields, "id": "1"}, "parents": []},
        *({"uid": parent, "attrs": {}, "parents": []} for parent in parents),
    ]


def by_cedar(text: str, who: Principal, row: Parcel) -> bool:
    """Return the verdict of Cedar's own engine."""
    context = {"protocol": "rest", "operation": "ann", "delegated": who.actor is not None}
    request = {
        "principal": {"type": "User", "id": str(who.id)},
        "action": 'Action::"read"',
        "resource": 'Parcel::"1"',
        "context": context,
    }
    result = cedarpy.is_authorized(request, text, entities(who, row))
    assert not result.diagnostics.errors
    return result.allowed


def by_us(texts: list[str], who: Principal, row: Parcel, *, negated: bool = False) -> bool:
    made = translated(
        [parsed(Statement("x.cedar", 1, text)) for text in texts], Scene("read", "Parcel", SHAPE.types, CLAIMS)
    )
    policy = prepare(~made if negated else made, SHAPE.types)
    return holds(policy.reduce(situated(who)), row)


@settings(max_examples=60)
@given(st.lists(statements, min_size=1, max_size=3))
def test_both_give_one_answer(texts: list[str]) -> None:
    if any(complaints(Statement("x.cedar", 1, text), SCHEMA) for text in texts):
        return  # what validation refuses is refused at start-up
    for who in PEOPLE:
        for row in ROWS:
            verdict = by_cedar("\n".join(texts), who, row)
            assert by_us(texts, who, row) == verdict
            assert by_us(texts, who, row, negated=True) != verdict


@pytest.mark.parametrize("atom", ATOMS)
def test_each_expression_has_a_counterpart(atom: str) -> None:
    text = f"permit(principal, action, resource) when {{ {atom} }};"
    assert complaints(Statement("x.cedar", 1, text), SCHEMA) == []
    for who in PEOPLE:
        for row in ROWS:
            assert by_us([text], who, row) == by_cedar(text, who, row)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("resource.total + 1 == 3", "+ has no counterpart"),
        ('resource.name like "t*a"', "like: only text"),
        ('principal.subject like "a*"', "only a field of the row"),
        ('"a" == "b" || ["x"].containsAll(["x"])', "containsAll has no counterpart"),
        ('principal.roles == ["x"]', ""),
        ("(if resource.paid then 1 else 2) == 1", "if-then-else has no counterpart"),
        (f'resource.customer_id == "{ANN}x"', "customer_id never has the value"),
        ("resource == resource", "Var has no counterpart"),
        ('principal in [Role::"a", Role::"b"]', "principal in: name one role"),
        ("[resource.name].contains(principal.subject)", "a set has constants in it"),
        ("principal.roles.containsAny(principal.scopes)", "containsAny has no counterpart"),
        ('resource in Parcel::"x"', "in: only the principal"),
        ("resource.name == context.protocol", "it has no counterpart"),
    ],
)
def test_what_has_no_counterpart_is_refused(body: str, message: str) -> None:
    text = f"permit(principal, action, resource) when {{ {body} }};"
    if not message:
        assert complaints(Statement("x.cedar", 1, text), SCHEMA) == []
        return
    with pytest.raises(ValueError, match=message.replace("+", r"\+").replace("(", r"\(")):
        by_us([text], PEOPLE[0], ROWS[0])


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        ('principal, action, resource in Parcel::"a"', "rows have no parents"),
        ("principal, action, resource == ?resource", "a template has no caller to ask"),
        ('principal in Team::"a", action, resource', "callers belong to roles"),
    ],
)
def test_scopes_without_a_counterpart_are_refused(scope: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        by_us([f"permit({scope});"], PEOPLE[0], ROWS[0])


def test_a_row_is_named_by_its_id() -> None:
    text = f'permit(principal, action, resource == Parcel::"{ROWS[0].id}");'
    assert [by_us([text], PEOPLE[0], row) for row in (ROWS[0], msgspec.structs.replace(ROWS[0], id=BOB))] == [
        True,
        False,
    ]


FILE = """
// What becomes of parcels.

@id("own")
permit(principal, action, resource is Parcel)
    when { resource.customer_id == principal.id };
permit(principal in Role::"support", action == Action::"read", resource);  // "a string; and more"
forbid(principal, action, resource) unless { resource.name != "bomb;" };
"""


def service(folder: Path, text: str, **more: Any) -> Service:
    (folder / "parcels.cedar").write_text(text)
    module = Module("post")
    rows = cedar(folder / "parcels.cedar", resource="Parcel")

    class Parcel(Entity, rows=rows):
        """What is sent."""

        customer_id: UUID
        name: str
        region: str | None = None

    module.resource(Parcel, path="/parcels", read=authenticated)

    @module.query("GET /post", allow=cedar(folder / "parcels.cedar", **more))
    async def look() -> None:
        """Look."""

    return Service("post", modules=[module], roles={"support": [], "chief": ["support"]})


async def test_a_file_guards_rows_at_the_door(tmp_path: Path) -> None:
    made = service(
        tmp_path, FILE.replace("permit(principal in", "permit(principal in"), action="read", resource="Parcel"
    )
    (tmp_path / "calls.cedar").write_text('permit(principal in Role::"support", action == Action::"look", resource);')
    module = Module("post")

    class Sent(Entity, rows=cedar(tmp_path / "sent.cedar", resource="Sent")):
        """What was sent."""

        customer_id: UUID
        name: str

    (tmp_path / "sent.cedar").write_text(FILE.replace("Parcel", "Sent"))
    module.resource(Sent, path="/sent", read=authenticated)

    @module.query("GET /look", allow=cedar(tmp_path / "calls.cedar", "look"))
    async def look() -> None:
        """Look."""

    assert made.roles is not None
    ann, helper = as_principal("ann"), as_principal("eve", roles="chief")
    async with Client(Service("post", modules=[module], roles=made.roles)) as client:
        await client.given(
            *(Sent(customer_id=owner, name=name) for owner in (ann.id, BOB) for name in ("tea", "bomb;"))
        )
        assert [row["name"] for row in (await client.get("/sent", who=ann)).json["items"]] == ["tea"]
        assert len((await client.get("/sent", who=helper)).json["items"]) == 2
        assert (await client.get("/look", who=ann)).status == 403
        assert (await client.get("/look", who=helper)).status == 204
        assert (await client.get("/look")).status == 401


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (FILE + "permit(principal action);", 9, "unexpected token `action`"),
        (FILE + "\n\npermit(principal, action, resource) when { resource.nmae == 1 };", 11, "attribute `nmae`"),
        (FILE + '\npermit(principal, action == Action::"raed", resource);', 10, "unrecognized action"),
        (FILE + '\npermit(principal, action, resource) when { resource.region == "x" };', 10, "optional attribute"),
        (FILE + '\npermit(principal in Role::"boss", action, resource);', 10, "role 'boss' is not declared"),
        (FILE + '\nforbid(principal, action, resource) when { resource.name like "a*b" };', 10, "like: only text"),
        (FILE + "\npermit(principal == ?principal, action, resource);", 10, "a template has no caller"),
    ],
)
def test_a_fault_names_file_and_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    found = [fault for fault in check_service(service(tmp_path, text)).faults if fault.subject == "Parcel rows="]
    assert found
    assert (str(found[0].source.file), found[0].source.line) == (str(tmp_path / "parcels.cedar"), line)
    assert message in found[0].message


def test_what_stands_round_a_file_has_faults_too(tmp_path: Path) -> None:
    made = check_service(service(tmp_path, FILE, action="raed"))
    (found,) = [fault for fault in made.faults if fault.subject == "look" and "raed" in fault.message]
    assert found.source.file == __file__
    made = check_service(service(tmp_path, FILE, resource="Order"))
    assert any("it is asked of Service, and says resource='Order'" in fault.message for fault in made.faults)
    (tmp_path / "empty").mkdir()
    module = Module("post")

    @module.query("GET /look", allow=cedar(tmp_path / "empty", "look"))
    async def look() -> None:
        """Look."""

    (fault,) = check_service(Service("post", modules=[module])).faults
    assert "cannot be read: no .cedar file is in this folder" in fault.message


def test_a_folder_is_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.cedar").write_text("permit(principal, action, resource);")
    (tmp_path / "b.cedar").write_text('forbid(principal, action, resource) when { principal.subject == "bob" };')
    (tmp_path / "c.txt").write_text("no policy")
    policy = prepare(cedar(tmp_path, "look"))
    assert [policy.reduce(who) for who in (as_principal("ann"), as_principal("bob"))] == [TRUE, FALSE]
    assert repr(policy) == f"cedar({tmp_path.name!r}, 'look')"


def test_who_is_not_known_is_allowed_nothing_and_the_service_all(tmp_path: Path) -> None:
    (tmp_path / "a.cedar").write_text("permit(principal, action, resource);")
    policy = cedar(tmp_path / "a.cedar", "look")
    for either in (policy, prepare(policy)):
        assert [either.reduce(who) for who in (Principal.anonymous, Principal.system)] == [FALSE, TRUE]
        assert [(~either).reduce(who) for who in (Principal.anonymous, Principal.system)] == [FALSE, FALSE]
    assert not policy.circumstantial
    (tmp_path / "a.cedar").write_text('permit(principal, action, resource) when { context.protocol == "rest" };')
    assert not policy.circumstantial  # what was read is not read again: what runs does not change
    policy = cedar(tmp_path / "a.cedar", "look")
    assert policy.circumstantial
    with pytest.raises(LookupError, match="no circumstances"):
        policy.reduce(as_principal("ann"))


def test_claims_are_texts_numbers_or_truths() -> None:
    with pytest.raises(ValueError, match="claim 'x' is none of str, int, bool"):
        cedar("a.cedar", claims={"x": list})


def test_a_claim_of_another_type_than_was_said_is_none() -> None:
    text = "permit(principal, action, resource) when { principal has level && principal.level > 3 };"
    odd = msgspec.structs.replace(PEOPLE[0], claims={"level": "many"})
    assert not by_us([text], odd, SimpleNamespace())  # type: ignore[arg-type]  # no row is looked at
