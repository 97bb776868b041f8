"""What a fresh shop has on its shelves. Run as often as you like: what is there is left as it is."""

from decimal import Decimal

from mainstay import Repository, in_

from .store.catalog import Category, Product

SHELVES = {"tea": "Tea", "coffee": "Coffee", "pottery": "Pottery"}
GOODS = [
    ("TEA-GREEN", "Green tea, 100 g", "tea", "6.90", 120),
    ("TEA-BLACK", "Black tea, 100 g", "tea", "5.40", 200),
    ("TEA-WHITE", "White tea, 50 g", "tea", "14.80", 3),
    ("COFFEE-HOUSE", "House blend, 250 g", "coffee", "7.20", 80),
    ("COFFEE-DECAF", "Decaffeinated, 250 g", "coffee", "8.10", 40),
    ("POT-SMALL", "Small teapot", "pottery", "24.00", 15),
    ("POT-LARGE", "Large teapot", "pottery", "38.50", 0),
    ("CUP-BLUE", "Blue cup", "pottery", "9.90", 60),
]


async def stock_shelves(categories: Repository[Category], products: Repository[Product]) -> None:
    """Put the first categories and products in."""
    shelves = {}
    for slug, title in SHELVES.items():
        found = (await categories.page(slug=slug)).items
        shelves[slug] = found[0] if found else await categories.add(Category(slug=slug, title=title))
    there = {product.sku async for product in products.stream(sku=in_([sku for sku, *_ in GOODS]))}
    for sku, name, slug, price, stock in GOODS:
        if sku not in there:
            await products.add(
                Product(sku=sku, name=name, category_id=shelves[slug].id, price=Decimal(price), stock=stock)
            )
