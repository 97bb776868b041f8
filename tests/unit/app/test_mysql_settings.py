"""The settings of a service on MariaDB or MySQL."""

from __future__ import annotations

from typing import Any

import pytest
from shop_served import settings_for

from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.sql.mysql_store import MysqlStore
from mainstay.app.refusal import Refusal
from mainstay.app.stores import make_store


@pytest.mark.parametrize("scheme", ["mysql", "mariadb"])
@pytest.mark.parametrize(("synchronous", "durable"), [("full", True), ("normal", False)])
def test_a_url_makes_the_store(scheme: str, synchronous: str, durable: bool) -> None:
    settings = settings_for(f"{scheme}://user:word@db.example/shop", **{"database.synchronous": synchronous})
    store = make_store(settings, SystemClock())
    assert isinstance(store, MysqlStore)
    options: Any = getattr(store.engine, "options", None)
    assert (options.database, options.durable, options.pool) == ("shop", durable, 10)


@pytest.mark.parametrize(
    ("url", "flags"),
    [
        ("mysql://user:geheim@db.example", {}),
        ("mysql://user:geheim@db.example/shop?tls=1", {}),
        ("mysql://user:geheim@db.example/shop", {"database.pooler": True}),
        ("mysql://user:geheim@db.example/shop", {"database.schema": "s"}),
    ],
)
def test_what_it_has_not_is_refused(url: str, flags: dict[str, Any]) -> None:
    with pytest.raises(Refusal) as raised:
        make_store(settings_for(url, **flags), SystemClock())
    assert "geheim" not in str(raised.value)
