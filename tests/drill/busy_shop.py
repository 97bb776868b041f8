"""The example shop as the drill of overloads asks it: its limits out of reach, its shelves and its books full."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from open_loop import Request
from served import Broken, Service, ask, free_port, head

from mainstay.adapters.jose.keys import load_secret
from mainstay.adapters.jose.mint import mint

SHOP = Path(__file__).parents[2] / "examples" / "shop"
KEY = "Nq5cVt0_pX7rDk2ZbW9sYh4LmJ8gEuA3fTzKx6RiQeo"
SETTINGS = """service = "shop.service:shop"
[http]
port = {port}
[admin]
port = {admin}
[database]
url = "sqlite:///ledger.sqlite3"
[auth]
issuer = "shop"
audience = "shop"
"""
PRODUCTS = 220
ORDERS = 50
ORDER = json.dumps({"lines": [{"sku": f"CUP-{number}", "quantity": 1} for number in range(10)]}).encode()


class Shop(Service):
    """The example shop in production, its limits out of reach and its shelves full; one worker on a processor."""

    def __init__(self, folder: Path, package: Path | None, **environ: str) -> None:
        super().__init__(folder, package=package, production=True, MAINSTAY_AUTH_KEY=KEY, **environ)
        shutil.copytree(SHOP, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sqlite3*", ".mainstay"))
        self.admin = free_port()
        (folder / "mainstay.toml").write_text(SETTINGS.format(port=self.port, admin=self.admin))
        _change(folder / "shop" / "service.py", "6000/minute", "9999999/second")
        _change(folder / "shop" / "store" / "orders.py", 'limit("60/minute")', 'limit("9999999/second")')
        _change(folder / "shop" / "seeds.py", '"6.90", 120)', '"6.90", 1000000000)')

    def prepare(self, *arguments: str) -> None:
        """Run a command of the command line in its folder."""
        command = [sys.executable, "-m", "mainstay", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Broken(f"mainstay {' '.join(arguments)}: {done.stderr or done.stdout}")

    def resident(self) -> int:
        """Return the memory of all of its processes, in bytes."""
        pids = [self.pid, *(pid for pid in self.family())]
        return sum(_resident(pid) for pid in pids)

    def family(self) -> list[int]:
        """Return the pids of the processes that it has started."""
        try:
            found = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        except OSError:
            return []
        return [int(one) for one in found]


def _change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    if old not in text:
        raise RuntimeError(f"{file.name}: {old!r} is not there any more: bring the drill up to date")
    file.write_text(text.replace(old, new))


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    except (OSError, IndexError):
        return 0


@contextmanager
def open_shop(package: Path | None, **environ: str) -> Iterator[Shop]:
    """Open the shop on the first processor, and move to the last."""
    processors = sorted(os.sched_getaffinity(0))
    with TemporaryDirectory(prefix="drill-") as folder:
        shop = Shop(Path(folder), package, **environ)
        try:
            os.sched_setaffinity(0, processors[:1])
            shop.prepare("db", "migrate")
            shop.prepare("db", "seed")
            shop.start()
            os.sched_setaffinity(0, processors[-1:])
            yield shop
        finally:
            os.sched_setaffinity(0, processors)
            shop.end()


def _fields(*roles: str) -> dict[str, str]:
    """Return the header fields of a caller."""
    who = str(uuid.UUID(int=7))
    key, now = load_secret(KEY), time.time()
    token = mint(key, issuer="shop", audience="shop", subject=who, now=now, lifetime=7200, roles=roles)
    return {"Authorization": f"Bearer {token}", "Accept": "application/json", "User-Agent": "drill"}


def stock(shop: Shop) -> str:
    """Put products on the shelves and orders in the books, for worthy lists. Returns the id of the first product."""
    _, found = ask(shop.port, "/products?sku=TEA-GREEN")
    category = found["items"][0]["category_id"]
    with socket.create_connection(("127.0.0.1", shop.port)) as one:
        for number in range(PRODUCTS):
            facts = {"sku": f"CUP-{number}", "name": f"Cup {number}", "category_id": category, "price": "9.90"}
            body = json.dumps({**facts, "stock": 1_000_000_000}).encode()
            one.sendall(head("POST", "/products", body, _fields("manager")) + body)
            _made(one)
        for _ in range(ORDERS):
            one.sendall(head("POST", "/orders", ORDER, _fields()) + ORDER)
            _made(one)
    return str(found["items"][0]["id"])


def _made(one: socket.socket) -> None:
    answer = b""
    while b"\r\n\r\n" not in answer or not answer.endswith(b"}"):
        answer += one.recv(1 << 16)
    if answer[9:12] != b"201":
        raise Broken(f"something could not be made: {answer.decode()}")


def workloads(product: str) -> dict[str, list[Request]]:
    """Return what is asked for. The last is too cheap to be turned away nine times for each that is served."""
    fields = _fields()
    place = head("POST", "/orders", ORDER, fields) + ORDER
    orders = head("GET", "/orders?limit=50&include=lines", b"", fields)
    listing = head("GET", "/products?sort=-price&limit=200&count=exact", b"", fields)
    one = head("GET", f"/products/{product}", b"", fields)
    return {
        "mixed": [Request("list", 6, listing), Request("orders", 2, orders), Request("place", 2, place)],
        "reads": [Request("list", 1, listing)],
        "writes": [Request("place", 1, place)],
        "cheap": [Request("get", 1, one)],
    }
