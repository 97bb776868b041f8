"""The service: its modules put together."""

from mainstay import Service, limit

from .parcels import parcels

__all__ = ["shipping"]

shipping = Service(
    "shipping",
    version="1.0.0",
    title="Shipping",
    description="Parcels for the tea shop: a service of its own, which hears of orders by events.",
    modules=[parcels],
    limits=[limit("6000/minute", by="address")],
)
