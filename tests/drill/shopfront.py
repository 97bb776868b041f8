"""The example shop, served in the production profile by several workers, and the tokens of those who call it."""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from served import HERE, PRODUCTION, Service

EXAMPLE = HERE.parents[1] / "examples" / "shop"
_KEY = "a signing key that only drills know, long enough"
_ENVIRON = {
    **PRODUCTION,
    "MAINSTAY_AUTH_KEY": _KEY,
    "MAINSTAY_EXPOSE_METRICS": "public",
    "MAINSTAY_EXPOSE_READINESS": "public",
    "MAINSTAY_ADMIN_PORT": "0",
    "MAINSTAY_LOG_LEVEL": "warning",
    "MAINSTAY_HTTP_TRUSTED_PROXIES": "127.0.0.1",  # so that callers can have addresses of their own
}
MANAGER = UUID(int=2)


class Shop(Service):
    """The shop in a folder of its own, migrated as in production."""

    def __init__(self, folder: Path, *, workers: int = 2, package: Path | None = None) -> None:
        super().__init__(folder, workers=workers, package=package, production=True, **_ENVIRON)
        shutil.copytree(EXAMPLE / "shop", folder / "shop", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(EXAMPLE / "migrations", folder / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(EXAMPLE / "mainstay.toml", folder)
        self.database = folder / "shop.sqlite3"

    def fill(self, orders: int) -> None:
        """Put so many old orders into the database, so that it does not grow from nothing while it is watched."""
        at = "2026-01-01T00:00:00.000000Z"
        with contextlib.closing(sqlite3.connect(self.database)) as connection, connection:
            shelf, product = str(UUID(int=1)), str(UUID(int=1))
            connection.execute("INSERT INTO store_category VALUES (?, 1, ?, ?, 'old', 'Old')", (shelf, at, at))
            connection.execute(
                "INSERT INTO store_product (id, version, created_at, updated_at, sku, name, category_id, price, stock)"
                " VALUES (?, 1, ?, ?, 'OLD-TEA', 'Old tea', ?, 100, 1)",
                (product, at, at, shelf),
            )
            numbers = range(1000, 1000 + orders)
            connection.executemany(
                "INSERT INTO store_order (id, version, created_at, updated_at, customer_id, status, total)"
                " VALUES (?, 1, ?, ?, ?, 'placed', 100)",
                ((str(UUID(int=n)), at, at, str(customer(n % 80))) for n in numbers),
            )
            connection.executemany(
                "INSERT INTO store_order_line (id, version, created_at, updated_at, order_id, customer_id, product_id,"
                " sku, quantity, price) VALUES (?, 1, ?, ?, ?, ?, ?, 'OLD-TEA', 1, 100)",
                ((str(UUID(int=n)), at, at, str(UUID(int=n)), str(customer(n % 80)), product) for n in numbers),
            )


def customer(number: int) -> UUID:
    """Return the id of a customer."""
    return UUID(int=1 << 100 | number)


def token(subject: UUID, *roles: str) -> str:
    """Return a token that the shop believes, good for a day."""
    claims = {"iss": "shop", "aud": "shop", "sub": str(subject), "roles": roles, "exp": int(time.time()) + 86_400}
    signed = b".".join(_segment(part) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (signed + b"." + _base64(hmac.digest(_KEY.encode(), signed, "sha256"))).decode()


def _segment(part: Any) -> bytes:
    return _base64(json.dumps(part).encode())


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@contextlib.contextmanager
def serving_shop(*, orders: int = 0, workers: int = 2, package: Path | None = None) -> Iterator[Shop]:
    """Serve the shop from a new folder; all ends with the block."""
    with tempfile.TemporaryDirectory(prefix="drill-") as folder:
        shop = Shop(Path(folder), workers=workers, package=package)
        try:
            shop.migrate()
            shop.fill(orders)
            shop.start()
            yield shop
        finally:
            shop.end()
