"""Names of client certificates: one kind is read, and what could be taken for another name is none."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from http_sample import Sample

from mainstay import Principal
from mainstay.inbound.http.clients import Clients, NameKind, name_of, received_from
from mainstay.inbound.http.options import HttpOptions

CERTIFICATE: dict[str, Any] = {
    "subject": ((("countryName", "DE"),), (("organizationName", "Shop"),), (("commonName", "till 1"),)),
    "subjectAltName": (
        ("DNS", "Till-1.shop.internal"),
        ("DNS", "other.shop.internal"),
        ("URI", "spiffe://shop.example/tills/1"),
        ("IP Address", "10.0.0.1"),
    ),
}


def subject(*values: str) -> dict[str, Any]:
    return {"subject": tuple((("commonName", value),) for value in values)}


def names(kind: str, *values: str) -> dict[str, Any]:
    return {"subjectAltName": tuple((kind, value) for value in values)}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("spiffe", "spiffe://shop.example/tills/1"),
        ("dns", "till-1.shop.internal"),
        ("subject", "C=DE, O=Shop, CN=till 1"),
    ],
)
def test_one_kind_of_name_is_read(kind: NameKind, name: str) -> None:
    assert name_of(CERTIFICATE, kind) == name


@pytest.mark.parametrize(
    ("kind", "certificate"),
    [
        ("spiffe", {}),
        ("spiffe", names("URI", "https://shop.example/tills/1")),
        ("spiffe", names("URI", "spiffe://a/1", "spiffe://a/2")),
        ("spiffe", names("URI", "spiffe://a/" + "x" * 2048)),
        ("spiffe", names("URI", "spiffe://a/\u0430dmin")),
        ("spiffe", names("DNS", "spiffe://a/1")),
        ("dns", names("URI", "till.shop.internal")),
        ("dns", names("DNS", "*.shop.internal")),
        ("dns", names("DNS", "till.shop.internal\x00.evil")),
        ("subject", {}),
        ("subject", subject("till, O=Shop")),
        ("subject", subject("a=b")),
        ("subject", subject("till\nadmin")),
    ],
)
def test_what_could_be_taken_for_another_name_is_none(kind: NameKind, certificate: dict[str, Any]) -> None:
    assert name_of(certificate, kind) is None


class Wire:
    """A connection, as far as it tells of its certificate."""

    def __init__(self, certificate: dict[str, Any] | None) -> None:
        self.certificate = certificate

    def get_extra_info(self, name: str) -> dict[str, Any] | None:
        assert name == "peercert"
        return self.certificate


def test_a_certificate_is_an_attribute_unless_it_is_said_to_be_enough() -> None:
    wire: Any = Wire(CERTIFICATE)
    attribute, whole = Clients("dns").of(wire), Clients("dns", authenticates=True).of(wire)
    assert attribute is not None
    assert whole is not None
    assert (attribute.authenticated, attribute.id, attribute.certificate) == (
        False,
        UUID(int=0),
        "till-1.shop.internal",
    )
    assert whole.authenticated
    assert whole.subject == whole.certificate == "till-1.shop.internal"
    assert whole == Clients("dns", authenticates=True).of(wire)
    assert whole.id not in (Principal.anonymous.id, Principal.system.id)
    nobody: Any = Wire(None)
    assert Clients("dns", authenticates=True).of(nobody) is None


def test_calls_of_its_connection_begin_as_the_client() -> None:
    door = Sample().door(HttpOptions())
    who = Principal.anonymous.connected_by("till")
    receive = received_from(who, door.receive)
    headers = {b"host": b"a"}
    found = receive(b"GET", b"/hello", headers, "127.0.0.1", "127.0.0.1")
    assert found.call is not None
    assert found.call.principal is who
    assert receive(b"GET", b"/nothing", headers, "127.0.0.1", "127.0.0.1").call is None
