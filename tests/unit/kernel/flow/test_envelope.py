"""The envelope: a CloudEvent 1.0 in JSON, read strictly, and the same again when it is written."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay import Principal
from mainstay.kernel.flow.envelope import Envelope, Unreadable, decode, encode
from mainstay.kernel.flow.principals import decode_principal, encode_principal

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ANN = Principal(id=UUID(int=7), subject="ann", roles=frozenset({"b", "a"}), tenant="t")
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=40)
NUMBER = st.integers(0, 2**63 - 1)


def envelope(**changes: Any) -> Envelope:
    given = {
        "id": UUID(int=1 << 100),
        "source": "shop",
        "event": "store.OrderPlaced",
        "key": "order-1",
        "payload": '{"total":"5.00"}',
        "principal": encode_principal(ANN),
        "request_id": "r-1",
        "traceparent": "00-1-2-01",
        "emitted_at": NOW,
        "sequence": 1_767_225_600_000_001,
        "previous": 1_767_225_600_000_000,
    }
    return Envelope(**{**given, **changes})


def event(**changes: Any) -> bytes:
    given = {"specversion": "1.0", "id": "a", "source": "elsewhere", "type": "x.Y", "data": {"n": 1}}
    return json.dumps({name: value for name, value in {**given, **changes}.items() if value is not None}).encode()


def test_it_is_written_as_the_specification_has_it() -> None:
    assert json.loads(encode(envelope())) == {
        "specversion": "1.0",
        "id": str(UUID(int=1 << 100)),
        "source": "shop",
        "type": "store.OrderPlaced",
        "time": "2026-01-01T00:00:00Z",
        "datacontenttype": "application/json",
        "data": {"total": "5.00"},
        "partitionkey": "order-1",
        "sequence": "1767225600000001",
        "previous": "1767225600000000",
        "principal": encode_principal(ANN),
        "requestid": "r-1",
        "traceparent": "00-1-2-01",
    }


def test_what_is_not_there_is_left_out() -> None:
    bare = envelope(key=None, sequence=0, previous=0, request_id="", traceparent=None)
    assert json.loads(encode(bare)).keys() & {"partitionkey", "sequence", "previous", "requestid"} == set()
    assert decode(encode(bare), NOW) == bare


@given(
    key=st.none() | TEXT, sequence=NUMBER, previous=NUMBER, source=TEXT, request_id=TEXT, version=st.integers(1, 10**6)
)
def test_what_was_written_is_read_as_it_was(
    key: str | None, sequence: int, previous: int, source: str, request_id: str, version: int
) -> None:
    there = envelope(
        key=key, sequence=sequence, previous=previous, source=source, request_id=request_id, dataversion=version
    )
    assert decode(encode(there), NOW) == there
    assert decode_principal(there.principal) == ANN


def test_sequences_have_the_order_of_their_texts() -> None:
    texts = [json.loads(encode(envelope(sequence=n)))["sequence"] for n in (9, 10, 10**15, 2 * 10**15)]
    assert texts == sorted(texts)


def test_an_event_of_others_needs_nothing_of_ours() -> None:
    read = decode(event(), NOW)
    assert (read.source, read.event, read.payload, read.key) == ("elsewhere", "x.Y", '{"n": 1}', None)
    assert (read.sequence, read.previous, read.emitted_at, read.dataversion) == (0, 0, NOW, 1)
    assert decode_principal(read.principal) == Principal.anonymous
    assert decode(event(data=None), NOW).payload == "null"


def test_an_id_that_is_no_uuid_becomes_one_with_its_source() -> None:
    first, again, other = (decode(event(source=source), NOW).id for source in ("a", "a", "b"))
    assert first == again != other
    assert (first.version, first.variant) == (8, "specified in RFC 4122")
    loose = "{" + str(UUID(int=5)) + "}"
    assert decode(event(id=loose), NOW).id not in (UUID(int=5), first)
    assert decode(event(id=str(UUID(int=5))), NOW).id == UUID(int=5)


@pytest.mark.parametrize("media", ["application/json", "application/json; charset=utf-8", "application/x+json"])
def test_data_in_json_is_read_by_its_media_type(media: str) -> None:
    assert decode(event(datacontenttype=media), NOW).payload == '{"n": 1}'


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"", "no CloudEvent"),
        (b"\xff\xfe", "no CloudEvent"),
        (b"[]", "no CloudEvent"),
        (b'{"specversion": "1.0"}', "no CloudEvent"),
        (event(id=7), "no CloudEvent"),
        (event(specversion="0.3"), "specversion"),
        (event(data_base64="AA==", data=None), "not JSON"),
        (event(datacontenttype="text/xml"), "not JSON"),
        (event(time="2026-01-01T00:00:00"), "no zone"),
        (event(id=""), "its id is empty"),
        (event(source=""), "its source is empty"),
        (event(type=""), "its type is empty"),
        (event(partitionkey="k" * 513), "partitionkey is longer"),
        (event(type="a\x00"), "its type has a U"),
        (event(sequence="-1"), "its sequence is no number"),
        (event(sequence="1.5"), "its sequence is no number"),
        (event(previous="9" * 19), "its previous is no number"),
        (event(previous="1" * 20), "its previous is no number"),
        (event(sequence="٣"), "its sequence is no number"),
        (event(dataversion="x"), "its dataversion is no number"),
        (event(principal="nobody"), "principal cannot be read"),
        (event(principal='{"id": 5}'), "principal cannot be read"),
    ],
)
def test_what_cannot_be_read_is_told_without_its_values(body: bytes, cause: str) -> None:
    with pytest.raises(Unreadable, match=cause) as raised:
        decode(body, NOW)
    assert "nobody" not in str(raised.value)
