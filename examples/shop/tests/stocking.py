"""Shelves for the tests."""

from decimal import Decimal

from shop.store.catalog import Category, Product

from mainstay.testing import Client


async def stocked(client: Client, **stock: int) -> dict[str, Product]:
    """Put products with these skus and stocks on a shelf, each at 5.00."""
    (shelf,) = await client.given(Category(slug="shelf", title="Shelf"))
    products = [
        Product(sku=sku, name=sku.title(), category_id=shelf.id, price=Decimal("5.00"), stock=pieces)
        for sku, pieces in stock.items()
    ]
    return {product.sku: product for product in await client.given(*products)}
