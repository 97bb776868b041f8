"""What managers look at. A report reads and changes nothing."""

from decimal import Decimal

from mainstay import Aggregates, Dto, Repository, count_of, lt, role, sum_of

from . import store
from .catalog import Product
from .orders import Order, OrderLine, OrderStatus


class ProductSales(Dto):
    """How much of a product was ordered."""

    sku: str
    pieces: int
    orders: int


class SalesReport(Dto):
    """What was sold."""

    orders: int
    cancelled: int
    revenue: Decimal
    products: list[ProductSales]


@store.query("GET /reports/sales", allow=role("manager"))
async def sales_report(orders: Aggregates[Order], lines: Aggregates[OrderLine]) -> SalesReport:
    """Sum up what was ordered, product by product."""
    return SalesReport(
        orders=await orders.count(),
        cancelled=await orders.count(status=OrderStatus.CANCELLED),
        revenue=await orders.sum("total", status=OrderStatus.PLACED),
        products=await lines.group(ProductSales, by="sku", pieces=sum_of("quantity"), orders=count_of()),
    )


class Shortage(Dto):
    """A product of which few pieces are left."""

    sku: str
    stock: int


@store.query("GET /reports/shortages", allow=role("manager", "support"))
async def shortages(products: Repository[Product], below: int = 5) -> list[Shortage]:
    """List the products of which fewer than ``below`` pieces are left."""
    page = await products.page(stock=lt(below), sort="stock", limit=200)
    return [Shortage(sku=product.sku, stock=product.stock) for product in page.items]
