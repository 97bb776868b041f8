"""Serve a mixed load for ``--count`` seconds, and watch that nothing piles up.

Two workers of the example shop answer reads, lists with filters and cursors, orders with keys and their repetitions,
bad requests of every kind, clients that leave in the middle, connections that come and go, at a modest fixed rate.
Anonymous memory, file descriptors, threads and tasks must be at the end what they were after the warm-up (medians of
the last and the first fifth), the write-ahead log within its bound, and no answer a fault of ours. ``--rate`` is in
calls a second; ``--orders`` are in the database before.

    scripts/drill soak --count 3600
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from served import Answer, Connection, Lost, head, parse, verdict
from shopfront import MANAGER, Shop, customer, serving_shop, token
from watch import growths, held

CLIENTS, CUSTOMERS, ADDRESSES = 16, 80, 200
WARM = 0.3  # of the samples: what is loaded and cached at first use is no leak
WAL_MB = 80.0  # the log is cut at 64 MiB, and what is committed meanwhile comes on top
BOUNDS = {"own": 2.5, "descriptors": 10.0, "threads": 3.0, "tasks": 10.0}  # growth of one worker; tasks of all
SHED = (429, 503)  # a neighbour on a loud machine: no fault


class Load:
    """The callers: what they have seen of the shop, and what they were answered."""

    def __init__(self, port: int, seed: int) -> None:
        self.port = port
        self.chance = random.Random(seed)
        self.answers: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.orders: list[tuple[int, str]] = []
        self.products: list[tuple[str, str]] = []
        self._tokens = [token(customer(number), "customer") for number in range(CUSTOMERS)]
        self._manager = token(MANAGER, "manager")
        self._keys = 0
        self._names = 0
        self._acts: list[Callable[[Connection], Awaitable[None]]] = []
        for act, weight in (
            (self.look, 20),
            (self.browse, 18),
            (self.order, 14),
            (self.look_at_order, 12),
            (self.list_own, 8),
            (self.refused, 12),
            (self.leave, 6),
            (self.restock, 4),
            (self.report, 2),
            (self.cancel, 2),
            (self.stock_shelf, 1),
        ):
            self._acts += [act] * weight

    async def begin(self) -> None:
        """Put the first products on the shelves."""
        connection = Connection(self.port)
        for _ in range(20):
            await self.stock_shelf(connection)
        connection.close()

    async def client(self, interval: float, until: float) -> None:
        """Act every ``interval`` seconds on a connection that is now kept, now left, now opened anew."""
        connection = Connection(self.port)
        due = time.monotonic() + self.chance.random() * interval
        while due < until:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due = max(due + interval, time.monotonic() - 1)  # what was missed for long is not made up for
            if self.chance.random() < 0.05:
                connection.close()
            await self.chance.choice(self._acts)(connection)
        connection.close()

    async def ask(
        self,
        connection: Connection,
        method: str,
        path: str,
        wanted: Sequence[int],
        *,
        bearer: str | None = None,
        body: Any = None,
        **fields: str,
    ) -> Answer | None:
        """Ask, and note the answer; None where there was none, or one of those that a busy service may give."""
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        number = self.chance.randrange(ADDRESSES)
        named["Forwarded"] = f"for=10.0.{number // 250}.{number % 250 + 1}"
        if bearer is not None:
            named["Authorization"] = f"Bearer {bearer}"
        try:
            answer = await connection.request(method, path, body, named)
        except Lost as lost:
            self.answers["lost"] += 1
            self._note(f"{method} {path}: {lost}")
            return None
        self.answers[str(answer.status)] += 1
        if answer.status in wanted:
            return answer
        if answer.status not in SHED:
            self._note(f"{method} {path}: {answer.status} {answer.raw[:200]!r}")
        return None

    def _note(self, fault: str) -> None:
        if len(self.wrong) < 20:
            self.wrong.append(fault)

    def _someone(self) -> tuple[int, str]:
        number = self.chance.randrange(CUSTOMERS)
        return number, self._tokens[number]

    async def look(self, connection: Connection) -> None:
        """Look at one product, at times with what is known of it."""
        id_, etag = self.chance.choice(self.products)
        fields = {"If_None_Match": etag} if self.chance.random() < 0.3 else {}
        await self.ask(connection, "GET", f"/products/{id_}", (200, 304), **fields)

    async def browse(self, connection: Connection) -> None:
        """List with a filter, and turn the page."""
        path = self.chance.choice([
            "/products?limit=5&sort=-price",
            f"/products?limit=3&price[gte]={self.chance.randrange(5)}.50",
            f"/products?name[contains]=tea {self.chance.randrange(9)}",
            f"/products?stock[lt]={self.chance.randrange(2000)}&limit=10&sort=stock",
            "/categories?limit=2",
        ]).replace(" ", "%20")  # fmt: skip
        answer = await self.ask(connection, "GET", path, (200,))
        cursor = answer.body.get("next") if answer is not None else None
        if cursor:
            await self.ask(connection, "GET", f"{path}&cursor={cursor}", (200,))

    async def order(self, connection: Connection) -> None:
        """Order with a key, and at times order the same again."""
        number, bearer = self._someone()
        sku = f"SKU-{self.chance.randrange(20)}"
        body = {"lines": [{"sku": sku, "quantity": self.chance.randrange(1, 4)}]}
        self._keys += 1
        key = f'"order-{self._keys}"'
        for _ in range(2 if self.chance.random() < 0.2 else 1):
            answer = await self.ask(
                connection, "POST", "/orders", (201, 409), bearer=bearer, body=body, Idempotency_Key=key
            )
            if answer is not None and answer.status == 201:
                self.orders = [*self.orders[-199:], (number, answer.body["id"])]

    async def look_at_order(self, connection: Connection) -> None:
        """Look at an own order, or at another's, which is not there."""
        if self.orders:
            number, id_ = self.chance.choice(self.orders)
            bearer = self._tokens[number] if self.chance.random() < 0.8 else self._someone()[1]
            await self.ask(connection, "GET", f"/orders/{id_}", (200, 404), bearer=bearer)

    async def list_own(self, connection: Connection) -> None:
        """List what is the caller's own."""
        path = self.chance.choice(["/orders?limit=5", "/orders?include=lines&limit=3", "/letters?limit=5"])
        await self.ask(connection, "GET", path, (200,), bearer=self._someone()[1])

    async def refused(self, connection: Connection) -> None:
        """Send what is not taken: each kind is refused on a way of its own."""
        bearer = self._someone()[1]
        which = self.chance.randrange(8)
        if which == 0:
            await self.ask(connection, "GET", f"/nowhere/{self.chance.randrange(10**6)}", (404,))
        elif which == 1:
            await self.ask(connection, "POST", "/orders", (401,), body={"lines": []})
        elif which == 2:
            await self.ask(connection, "POST", "/orders", (401,), bearer=f"{bearer}x", body={"lines": []})
        elif which == 3:
            lines = [{"sku": 5, "quantity": f"{n}", f"odd{n}": n} for n in range(self.chance.randrange(1, 30))]
            await self.ask(connection, "POST", "/orders", (422,), bearer=bearer, body={"lines": lines})
        elif which == 4:
            await self.ask(connection, "GET", f"/products?odd{self.chance.randrange(10**6)}=1&limit=x", (400, 422))
        elif which == 5:
            await self.ask(connection, "PUT", "/products", (405,), bearer=bearer, body={})
        elif which == 6:
            await self.ask(connection, "GET", "/reports/sales", (403,), bearer=bearer)
        else:
            await self.ask(connection, "GET", "/products?cursor=made-up", (400, 422))

    async def leave(self, _: Connection) -> None:
        """Come on a connection of one's own and leave it in the middle of a request, or before the answer."""
        order = json.dumps({"lines": [{"sku": "SKU-1", "quantity": 1}]}).encode()
        whole = head("POST", "/orders", order, {"Authorization": f"Bearer {self._someone()[1]}"}) + order
        part = whole[: self.chance.randrange(len(whole) + 1)]
        self.answers["left"] += 1
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(part)
            await asyncio.sleep(self.chance.random() * 0.02)
            if self.chance.random() < 0.5:
                writer.transport.abort()
            writer.close()

    async def restock(self, connection: Connection) -> None:
        """Put pieces back in stock."""
        id_, _ = self.chance.choice(self.products)
        type_ = "application/merge-patch+json"
        answer = await self.ask(
            connection,
            "PATCH",
            f"/products/{id_}",
            (200,),
            bearer=self._manager,
            body={"stock": self.chance.randrange(500, 2000)},
            Content_Type=type_,
        )
        if answer is not None:
            self.products = [each for each in self.products if each[0] != id_]
            self._keep(answer)

    async def report(self, connection: Connection) -> None:
        """Look at the figures, of the shop and of its workers."""
        await self.ask(connection, "GET", "/reports/shortages", (200,), bearer=self._manager)
        await self.ask(connection, "GET", "/metrics", (200,))

    async def cancel(self, connection: Connection) -> None:
        """Cancel an order, perhaps one that is cancelled already."""
        if self.orders:
            number, id_ = self.chance.choice(self.orders)
            await self.ask(connection, "POST", f"/orders/{id_}/cancel", (200, 409), bearer=self._tokens[number])

    async def stock_shelf(self, connection: Connection) -> None:
        """Put a new product on a new shelf."""
        number, self._names = self._names, self._names + 1
        shelf = {"slug": f"shelf-{number}", "title": f"Shelf {number}"}
        made = await self.ask(connection, "POST", "/categories", (201,), bearer=self._manager, body=shelf)
        if made is None:
            return
        product = {
            "sku": f"SKU-{number}",
            "name": f"Green tea {number}",
            "category_id": made.body["id"],
            "price": f"{number % 20}.90",
            "stock": 1000,
        }
        answer = await self.ask(connection, "POST", "/products", (201,), bearer=self._manager, body=product)
        if answer is not None:
            self._keep(answer)

    def _keep(self, product: Answer) -> None:
        """Know a product from now on; the one that was known for the longest is forgotten."""
        self.products = [*self.products[-199:], (product.body["id"], product.fields.get("etag", '""'))]


async def watch(shop: Shop, samples: list[dict[str, float]], until: float) -> None:
    """Look at the workers every second, or more often where there is little time."""
    pids = shop.children()
    interval = min(1.0, (until - time.monotonic()) / 40)
    log = shop.database.with_name(f"{shop.database.name}-wal")
    asking = Connection(shop.port)
    while time.monotonic() < until:
        sample: dict[str, float] = {}
        for number, pid in enumerate(pids):
            sample |= {f"{name} {number}": value for name, value in held(pid)._asdict().items()}
        text = (await asking.request("GET", "/metrics")).raw.decode()
        sample["tasks"] = figure(text, "mainstay_loop_tasks")
        sample["sqlite"] = figure(text, "mainstay_store_memory_bytes") / 1e6
        sample["wal"] = log.stat().st_size / 1e6 if log.exists() else 0.0
        samples.append(sample)
        await asyncio.sleep(interval)
    asking.close()


def figure(text: str, name: str) -> float:
    """Return a figure of a scrape, all workers together."""
    return float(text.partition(f"\n{name} ")[2].split()[0])


async def drill(shop: Shop, load: Load, seconds: int, rate: int) -> list[dict[str, float]]:
    """Serve the load, and return what was seen of the workers."""
    await load.begin()
    until = time.monotonic() + seconds
    samples: list[dict[str, float]] = []
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(load.client(CLIENTS / rate, until))
        group.create_task(watch(shop, samples, until))
    return samples


def judge(samples: list[dict[str, float]]) -> tuple[dict[str, Any], dict[str, float]]:
    """Return what has grown over its bound, and all growths."""
    grown = {name: round(value, 2) for name, value in growths(samples, WARM).items() if "resident" not in name}
    faults = {
        name: [value, bound]
        for name, value in grown.items()
        if (bound := BOUNDS.get(name.partition(" ")[0])) is not None and value > bound
    }
    wal = max(sample["wal"] for sample in samples)
    if wal > WAL_MB:
        faults["wal"] = [wal, WAL_MB]
    return faults, grown


def main(arguments: Sequence[str]) -> int:
    """Load the shop for ``--count`` seconds."""
    wanted = parse(arguments, __doc__, rate=120, orders=20_000, workers=2)
    with serving_shop(orders=wanted.orders, workers=wanted.workers, package=wanted.package) as shop:
        load = Load(shop.port, wanted.seed)
        before = shop.children()
        samples = asyncio.run(drill(shop, load, wanted.count, wanted.rate))
        faults, grown = judge(samples)
        if shop.children() != before:
            faults["workers"] = "a worker died and was replaced"
        if load.wrong or shop.tracebacks():
            faults["answers"] = [*load.wrong, *shop.tracebacks()][:5]
    resident = max(value for name, value in samples[-1].items() if name.startswith("resident"))
    calls = sum(load.answers.values())
    return verdict(
        faults,
        seed=wanted.seed,
        calls=calls,
        answers=dict(sorted(load.answers.items())),
        growth=grown,
        resident=round(resident, 1),
        sqlite=round(samples[-1]["sqlite"], 1),
        wal=round(max(sample["wal"] for sample in samples), 1),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
