"""The published corpora of JSON texts and naughty strings, against a bound stage.

They are not part of the repository: they are looked for beside it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bound_input import Desk

from mainstay import Dto, Module, anyone
from mainstay.model.problem import Invalid, Malformed, Problem

SUITES = Path(__file__).parents[4] / "shared" / "suites"
CASES = sorted((SUITES / "json").glob("*.json"))
STRINGS = SUITES / "strings" / "blns.json"

without_corpus = pytest.mark.skipif(not CASES, reason="the JSON corpus is not part of the repository")
without_strings = pytest.mark.skipif(not STRINGS.exists(), reason="the naughty strings are not part of the repository")

# Two rules of ours are narrower than the grammar: a member is given once, and U+0000 is no text.
REFUSED_BY_RULE = {
    "y_object_duplicated_key": "duplicate_key",
    "y_object_duplicated_key_and_value": "duplicate_key",
    "y_object_escaped_null_in_key": "null_character",
    "y_string_null_escape": "null_character",
}


class Holder(Dto):
    value: Any


class Text(Dto):
    value: str


module = Module("corpus")


@module.command("POST /holders", allow=anyone)
async def hold(body: Holder) -> Holder:
    """Take any JSON value."""
    return body


@module.command("POST /texts", allow=anyone)
async def keep(body: Text) -> Text:
    """Take a text."""
    return body


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk(module)


def outcome(desk: Desk, name: str, body: bytes) -> Any:
    try:
        return desk.inputs(name, body)["body"]
    except Problem as problem:
        return problem


@without_corpus
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_text_of_the_corpus_is_answered_right(desk: Desk, path: Path) -> None:
    text = path.read_bytes()
    alone, within = outcome(desk, "hold", text), outcome(desk, "hold", b'{"value":' + text + b"}")
    if path.stem.startswith("n_"):
        assert isinstance(alone, Malformed)
        assert isinstance(within, Malformed)
        return
    for answer in (alone, within):
        assert isinstance(answer, Holder | Malformed | Invalid)
    if path.stem in REFUSED_BY_RULE:
        code = REFUSED_BY_RULE[path.stem]
        assert isinstance(within, Problem)
        assert {fault.code for fault in within.faults} == {code}
    elif path.stem.startswith("y_"):
        assert isinstance(within, Holder)
        assert json.loads(msgspec.json.encode(within.value)) == json.loads(text)


@without_corpus
def test_lone_surrogates_have_their_own_fault(desk: Desk) -> None:
    found = {
        path.stem
        for path in CASES
        if isinstance(answer := outcome(desk, "hold", b'{"value":' + path.read_bytes() + b"}"), Malformed)
        and [fault.code for fault in answer.faults] == ["surrogate"]
    }
    assert "i_string_lone_second_surrogate" in found
    assert "i_object_key_lone_2nd_surrogate" in found
    assert all("surrogate" in name for name in found)


@without_strings
@pytest.mark.parametrize("escaped", [True, False])
def test_a_naughty_string_comes_back_exactly_or_is_refused_by_name(desk: Desk, escaped: bool) -> None:
    strings = json.loads(STRINGS.read_text())
    assert len(strings) > 400
    for string in [*strings, "\x00", "a\x00b", "\ud800"]:
        body = json.dumps({"value": string}, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
        answer = outcome(desk, "keep", body)
        if "\x00" in string:
            assert [fault.code for fault in answer.faults] == ["null_character"]
        elif string == "\ud800":
            assert isinstance(answer, Malformed)
            assert answer.code == "json_encoding"
        else:
            assert answer.value == string
            assert json.loads(msgspec.json.encode(answer))["value"] == string
