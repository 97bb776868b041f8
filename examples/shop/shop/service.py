"""The service: its modules put together."""

from mainstay import Service, limit

from .mailbox import mailbox
from .seeds import stock_shelves
from .store import catalog, customers, orders, reports, store

__all__ = ["catalog", "customers", "orders", "reports", "shop"]

shop = Service(
    "shop",
    version="1.0.0",
    title="Tea shop",
    description="Tea, coffee and pots: the example service of Mainstay.",
    modules=[store, mailbox],
    limits=[limit("6000/minute", by="address")],
)
shop.seed(stock_shelves)
