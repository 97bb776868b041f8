"""The served shop keeps its contract when Schemathesis tries to make it break it. The long form is a drill.

Most of the time is Schemathesis's own: the coverage phase is held to operations that have all kinds of input between
them, and the others to a few examples each.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from contract_fuzzing import fuzz
from shop_served import Person, Running, run_shop

BOSS = Person(1, "manager", "support")
CUSTOMER = Person(2, "customer")
SECONDS = 240.0


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Running]:
    running = run_shop(tmp_path)
    yield running
    running.stop()
    assert not running.troubles.seen


def test_every_operation_keeps_its_contract_for_who_may_do_everything(shop: Running, tmp_path: Path) -> None:
    phases = "examples,fuzzing,stateful"
    assert fuzz(shop, BOSS, tmp_path, examples=3, seed=20, timeout=SECONDS, phases=phases) == ""


def test_the_corners_of_every_kind_of_input_are_as_the_contract_has_them(shop: Running, tmp_path: Path) -> None:
    some = ("place_order", "cancel_order", "update_category", "get_category", "shortages")
    found = fuzz(shop, BOSS, tmp_path, examples=1, seed=20, timeout=SECONDS, phases="coverage", operations=some)
    assert found == ""


def test_a_customer_meets_the_answers_of_the_contract(shop: Running, tmp_path: Path) -> None:
    some = ("create_customer", "update_customer", "list_orders", "place_order", "delete_product")
    found = fuzz(shop, CUSTOMER, tmp_path, examples=3, seed=21, timeout=SECONDS, phases="fuzzing", operations=some)
    assert found == ""


def test_a_contract_that_is_not_kept_is_noticed(shop: Running, tmp_path: Path) -> None:
    target: Any = shop.door._static[b"/openapi.json"][b"GET"].target
    wrong = target.document.body.replace(b'"maxLength":40', b'"maxLength":60')
    target.document = msgspec.structs.replace(target.document, body=wrong)
    found = fuzz(
        shop, BOSS, tmp_path, examples=1, seed=20, timeout=SECONDS, phases="coverage", operations=["create_category"]
    )
    assert "Schema-valid request rejected" in found
