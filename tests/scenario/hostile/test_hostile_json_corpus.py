"""Every text of the published JSON corpus against served operations: alone, as a value, as a field, as a key.

What must be accepted is accepted (or refused by a rule of ours that has a name), what must be refused is a 400, and
what the grammar leaves open has the answer that stands in the table here. The corpus is looked for beside the
repository.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hostile_service import fine_or_refused, refused
from http_clients import Answered
from shop_served import Client, Person

CASES = sorted((Path(__file__).parents[4] / "shared" / "suites" / "json").glob("*.json"))
pytestmark = pytest.mark.skipif(not CASES, reason="the JSON corpus is not part of the repository")

BOSS = Person(1, "manager")
PRODUCT = {"sku": "CORPUS", "name": "n", "category_id": "0199c0de-0000-7000-8000-000000000009", "price": "1"}
PLACE = b'"@"'

# Narrower than the grammar: a member is given once, U+0000 is no text.
BY_RULE = {
    "y_object_duplicated_key": (400, "duplicate_key"),
    "y_object_duplicated_key_and_value": (400, "duplicate_key"),
    "y_object_escaped_null_in_key": (422, "null_character"),
    "y_string_null_escape": (422, "null_character"),
}
# Left open by RFC 8259: numbers beyond 64 bits are refused, those that round to zero are read; text is UTF-8 without
# lone surrogates, and has no byte order mark; 64 levels are deep enough.
BIG, TEXT, PAIR = (422, "too_large"), (400, "json_encoding"), (400, "surrogate")
LEFT_OPEN = {
    "i_number_double_huge_neg_exp": (200, ""),
    "i_number_huge_exp": BIG,
    "i_number_neg_int_huge_exp": BIG,
    "i_number_pos_double_huge_exp": BIG,
    "i_number_real_neg_overflow": BIG,
    "i_number_real_pos_overflow": BIG,
    "i_number_real_underflow": (200, ""),
    "i_number_too_big_neg_int": BIG,
    "i_number_too_big_pos_int": BIG,
    "i_number_very_big_negative_int": BIG,
    "i_object_key_lone_2nd_surrogate": PAIR,
    "i_string_1st_surrogate_but_2nd_missing": PAIR,
    "i_string_1st_valid_surrogate_2nd_invalid": PAIR,
    "i_string_UTF-16LE_with_BOM": TEXT,
    "i_string_UTF-8_invalid_sequence": TEXT,
    "i_string_UTF8_surrogate_U+D800": TEXT,
    "i_string_incomplete_surrogate_and_escape_valid": PAIR,
    "i_string_incomplete_surrogate_pair": PAIR,
    "i_string_incomplete_surrogates_escape_valid": PAIR,
    "i_string_invalid_lonely_surrogate": PAIR,
    "i_string_invalid_surrogate": PAIR,
    "i_string_invalid_utf-8": TEXT,
    "i_string_inverted_surrogates_U+1D11E": PAIR,
    "i_string_iso_latin_1": TEXT,
    "i_string_lone_second_surrogate": PAIR,
    "i_string_lone_utf8_continuation_byte": TEXT,
    "i_string_not_in_unicode_range": TEXT,
    "i_string_overlong_sequence_2_bytes": TEXT,
    "i_string_overlong_sequence_6_bytes": TEXT,
    "i_string_overlong_sequence_6_bytes_null": TEXT,
    "i_string_truncated-utf-8": TEXT,
    "i_string_utf16BE_no_BOM": TEXT,
    "i_string_utf16LE_no_BOM": TEXT,
    "i_structure_500_nested_arrays": (400, "json_too_deep"),
    "i_structure_UTF-8_BOM_empty_object": (400, "json_syntax"),  # as a value; alone it is json_encoding
}

every = pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)


def outcome(answer: Answered) -> tuple[int, str]:
    """Return the status and the code: of the one fault where there is one."""
    if answer.status == 200:
        return 200, ""
    code = refused(answer, 400, 422)
    faults = {fault["code"] for fault in answer.json.get("faults", [])}
    return answer.status, faults.pop() if len(faults) == 1 else code


@every
def test_as_a_value(client: Client, path: Path) -> None:
    text = path.read_bytes()
    answer = client.ask("POST", "/anything", body=b'{"value":' + text + b"}")
    if path.stem in BY_RULE | LEFT_OPEN:
        assert outcome(answer) == (BY_RULE | LEFT_OPEN)[path.stem]
    elif path.stem.startswith("y_"):
        assert answer.status == 200, answer.body
        assert answer.json["value"] == json.loads(text)
    else:
        refused(answer, 400)


@every
def test_as_a_whole_body(client: Client, path: Path) -> None:
    text = path.read_bytes()
    answer = client.ask("POST", "/anything", body=text)
    if path.stem.startswith("n_") or path.stem == "i_structure_UTF-8_BOM_empty_object":
        refused(answer, 400)
    else:
        refused(answer, 400, 422)
        listed = path.stem in BY_RULE or path.stem in LEFT_OPEN
        assert listed or answer.status == 422, answer.body  # well-formed, and no object with a value


@every
def test_stored_and_read_again(client: Client, path: Path) -> None:
    text = path.read_bytes()
    answer = client.ask("POST", "/notes", body=b'{"text":"t","data":' + text + b"}")
    if not fine_or_refused(answer):
        accepted = path.stem.startswith("y_") and path.stem not in BY_RULE
        assert not accepted, answer.body
        return
    assert not path.stem.startswith("n_")
    kept = client.get(answer["location"]).json["data"]
    assert kept == answer.json["data"] == json.loads(text)


@every
def test_as_each_field_of_a_product(buyer: Client, path: Path) -> None:
    text = path.read_bytes()
    for name in ("sku", "name", "category_id", "price", "stock", "purchase_price", "zz"):
        body = json.dumps({**PRODUCT, name: "@"}).encode().replace(PLACE, text, 1)
        answer = buyer.ask("POST", "/products", BOSS, body)
        if path.stem.startswith("n_"):
            refused(answer, 400)
        else:
            refused(answer, 400, 409, 422)  # never 201: the category is not there


@every
def test_as_text_and_as_a_key(client: Client, path: Path) -> None:
    text = path.read_bytes().decode("latin-1")
    for made in ({"value": text}, {"value": {text: 1}}, {text: 1}):
        answer = client.ask("POST", "/anything", body=made)
        accepted = answer.status == 200
        assert accepted == ("value" in made and "\x00" not in text), answer.body[:200]
        if accepted:
            assert answer.json == made
        else:
            refused(answer, 422)


def test_the_table_is_of_the_corpus() -> None:
    stems: set[Any] = {path.stem for path in CASES}
    assert {stem for stem in stems if stem.startswith("i_")} == set(LEFT_OPEN)
    assert set(BY_RULE) <= stems
    assert len(CASES) > 300
