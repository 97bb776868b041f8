"""What the peers of the bench of events have in common: the event, the tables, the log."""

from __future__ import annotations

import os
import time
import uuid
from decimal import Decimal
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

BROKER = os.environ["BENCH_BROKER"]
URL = os.environ["BENCH_BROKER_URL"]
DATABASE = os.environ["BENCH_DATABASE"]
PLAIN = "BENCH_PLAIN" in os.environ
"""Published behind the commit, by no outbox, and told from an earlier delivery by no inbox."""

CONNECTIONS = 10
CONCURRENCY = 32
SHOP = """
CREATE TABLE IF NOT EXISTS orders (
    id UUID PRIMARY KEY, version INTEGER NOT NULL, created_at TIMESTAMPTZ NOT NULL, updated_at TIMESTAMPTZ NOT NULL,
    sku TEXT NOT NULL, customer_id UUID NOT NULL, quantity BIGINT NOT NULL, total NUMERIC(12, 2) NOT NULL
);
CREATE TABLE IF NOT EXISTS outbox (id UUID PRIMARY KEY, created_at TIMESTAMPTZ NOT NULL, payload TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS outbox_created_at ON outbox (created_at, id);
"""
SHIPPING = """
CREATE TABLE IF NOT EXISTS parcels (
    id UUID PRIMARY KEY, version INTEGER NOT NULL, created_at TIMESTAMPTZ NOT NULL, updated_at TIMESTAMPTZ NOT NULL,
    order_id UUID NOT NULL, customer_id UUID NOT NULL, sku TEXT NOT NULL, quantity BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS inbox (message UUID PRIMARY KEY, created_at TIMESTAMPTZ NOT NULL);
"""


class PlaceOrder(BaseModel):
    """What a call asks for."""

    model_config = ConfigDict(extra="forbid")

    sku: str = Field(min_length=1, max_length=40)
    customer_id: uuid.UUID
    quantity: int = Field(ge=1, le=100)
    total: Decimal = Field(ge=0, max_digits=12, decimal_places=2)


class OrderPlaced(BaseModel):
    """The event."""

    event_id: uuid.UUID
    order_id: uuid.UUID
    customer_id: uuid.UUID
    sku: str
    quantity: int
    total: Decimal


def log(event: str, **facts: Any) -> None:
    """Write a line of JSON."""
    line = {"time": time.time(), "level": "info", "event": event, **facts}
    os.write(1, orjson.dumps(line, default=str) + b"\n")
