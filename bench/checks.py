"""Equal before measured: every contender gives the same answers, good and bad, logs, counts and is durable."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.measure import Server
from bench.stores import Unfit
from bench.workloads import NEW_ITEM, WORKLOADS, Check, Workload

SEEDS = 200
_LOG_SECONDS = 3.0
_WRITES = 10


class Unequal(Exception):
    """A contender does not do what the others do; the message says which, and where."""


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} has no zone")
    return found


# What differs between contenders by nature is checked for its form and then left out of the comparison.
_FORMS: dict[str, Callable[[Any], object]] = {
    "id": uuid.UUID,
    "sku": str,
    "created_at": _moment,
    "updated_at": _moment,
}


def ask(server: Server, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, str]:
    """Send one request; return the status, the decoded body and the body's text."""
    data = None
    if body is not None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        headers["Content-Type"] = "application/json"
    sent = urllib.request.Request(server.url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(sent, timeout=10) as answer:
            text = answer.read().decode()
            return answer.status, json.loads(text), text
    except urllib.error.HTTPError as refused:
        return refused.code, None, refused.read().decode(errors="replace")


def seed(server: Server) -> str:
    """Make the rows that all have, through the door; return the id of the first."""
    first = ""
    for number in range(1, SEEDS + 1):
        item = {"sku": f"SEED-{number}", "name": f"Item {number}", "price": f"{number / 4:.2f}", "stock": number}
        status, made, text = ask(server, "POST", "/items", item)
        if status != 201:
            raise Unequal(f"{server.name}: a row cannot be made: {status} {text[:300]}")
        first = first or made["id"]
    return first


def normal(value: Any) -> Any:
    """Return an answer without what differs by nature. Raises ``ValueError`` where such a part has the wrong form."""
    if isinstance(value, list):
        return [normal(one) for one in value]
    if not isinstance(value, dict):
        return value
    for name, form in _FORMS.items():
        if name in value:
            form(value[name])
    return {name: "-" if name in _FORMS else normal(one) for name, one in value.items()}


def answers(server: Server, workload: Workload, held: dict[str, str], item: str) -> list[Any]:
    """Ask what the workload checks; return the normal answers, to be compared with those of the others."""
    return [_answer(server, one, held, item) for one in workload.checks]


def _answer(server: Server, one: Check, held: dict[str, str], item: str) -> Any:
    body = one.body
    if isinstance(body, dict) and body.get("sku") == "{sku}":
        body = {**body, "sku": uuid.uuid4().hex}
    headers = {"Authorization": f"Bearer {held[one.token]}"} if one.token else {}
    status, answer, text = ask(server, one.method, one.path.replace("{item}", item), body, **headers)
    asked = f"{server.name}: {one.method} {one.path} {json.dumps(body)[:200]}"
    if status not in one.statuses:
        raise Unequal(f"{asked}: {status}, expected {one.statuses}: {text[:300]}")
    if missing := [name for name in one.names if name not in text]:
        raise Unequal(f"{asked}: the refusal does not name {missing}: {text[:500]}")
    try:
        return None if answer is None else normal(answer)
    except (ValueError, TypeError) as fault:
        raise Unequal(f"{asked}: {fault}: {text[:300]}") from None


def pages(server: Server) -> None:
    """Follow the cursors from page to page: every row made at the start must come, once and whole."""
    found: dict[str, tuple[Any, Any]] = {}
    path, count = "/items?limit=50", 0
    while path:
        status, page, text = ask(server, "GET", path)
        if status != 200 or not 1 <= len(page["items"]) <= 50 or count > SEEDS:
            raise Unequal(f"{server.name}: GET {path}: {status} {text[:300]}")
        for row in page["items"]:
            normal(row)
            if row["sku"] in found:
                raise Unequal(f"{server.name}: {row['sku']} comes on two pages")
            found[row["sku"]] = (row.get("price"), row.get("stock"))
        count += 1
        path = f"/items?limit=50&cursor={page['next']}" if page.get("next") else ""
    wanted = {f"SEED-{number}": (f"{number / 4:.2f}", number) for number in range(1, SEEDS + 1)}
    if {sku: found.get(sku) for sku in wanted} != wanted:
        raise Unequal(f"{server.name}: the pages do not hold what was stored")


def observed(server: Server, workload: Workload, held: dict[str, str], item: str) -> None:
    """Look for one JSON line of a request with its id, status, duration and path, and for the counters."""
    mark = f"check-{uuid.uuid4().hex}"
    headers = {"X-Request-ID": mark}
    if workload.token:
        headers["Authorization"] = f"Bearer {held[workload.token]}"
    body = {**workload.body, "sku": mark[:30]} if workload.unique else workload.body
    ask(server, workload.method, workload.path.replace("{item}", item), body, **headers)
    deadline = time.monotonic() + _LOG_SECONDS
    lines: list[str] = []
    while not lines and time.monotonic() < deadline:
        lines = [line for line in server.log.read_text(errors="replace").splitlines() if mark in line]
    told = json.loads(lines[0]) if len(lines) == 1 else {}
    if told.get("status") != workload.status or "duration_ms" not in told or "path" not in told:
        raise Unequal(f"{server.name}: {workload.name} has not one line of log that tells the call: {lines[:3]}")
    with urllib.request.urlopen(server.metrics, timeout=10) as figures:
        if "calls_total" not in figures.read().decode():
            raise Unequal(f"{server.name}: {server.metrics} counts no calls")


def durable(server: Server) -> str:
    """Make rows one after another: each must be on the disk before its answer; return what was seen.

    Raises ``Unequal`` where fewer flushes than rows are seen, or where a row of the outbox is missing.
    """
    before = _counts(server)
    with _traced(server) as trace:
        for _ in range(_WRITES):
            ask(server, "POST", "/items", {**NEW_ITEM, "sku": uuid.uuid4().hex})
    rows, outbox = (after - then for after, then in zip(_counts(server), before, strict=True))
    if rows != _WRITES or (server.table == "items" and outbox != _WRITES):
        raise Unequal(f"{server.name}: {_WRITES} answers, {rows} rows, {outbox} rows of the outbox")
    if trace is None:
        return "not seen: strace is missing (apt-get install strace), or the database is on another machine"
    flushes = len(re.findall(r"\b(?:fsync|fdatasync)\(", trace.read_text(errors="replace")))
    trace.unlink()
    if flushes < _WRITES:
        raise Unequal(f"{server.name}: {_WRITES} answers after {flushes} flushes to the disk")
    return f"{flushes} flushes for {_WRITES} rows one by one"


def _counts(server: Server) -> tuple[int, int]:
    outbox = "outbox" if server.table == "items" else "mainstay_outbox"  # ours is emptied by its relay
    try:
        rows, events = server.data.counts(server.table, outbox)
    except Unfit as fault:
        raise Unequal(f"{server.name}: {fault}") from None
    return rows, events


@contextlib.contextmanager
def _traced(server: Server) -> Iterator[Path | None]:
    """Note the flushes of a server and its store while the block runs; gives None where they cannot be seen."""
    if shutil.which("strace") is None or not server.data.here:
        yield None
        return
    with tempfile.NamedTemporaryFile(delete=False, suffix=".strace") as file:
        trace = Path(file.name)
    pids = (*server.pids(), *server.data.pids())
    attach = [word for pid in pids for word in ("-p", str(pid))]
    command = ["strace", "-f", "-e", "trace=fsync,fdatasync", "-o", str(trace), *attach]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        if not any("attached" in line for line in [process.stderr.readline() for _ in pids]):
            process.kill()
            trace.unlink()
            yield None
            return
        time.sleep(0.3)  # it says so once a process, whose other threads follow
        try:
            yield trace
        finally:
            process.send_signal(signal.SIGINT)
            process.stderr.read()
            process.wait(10)


def compare(servers: list[Server], held: dict[str, str], items: dict[str, str]) -> dict[str, str]:
    """Hold all to the first one's answers; return what was seen of each one's durability. Raises ``Unequal``."""
    for workload in WORKLOADS:
        expected: list[Any] = []
        for server in servers:
            found = answers(server, workload, held, items[server.name])
            expected = expected or found
            if found != expected:
                differing = next(pair for pair in zip(found, expected, strict=True) if pair[0] != pair[1])
                raise Unequal(f"{server.name} {workload.name}: {differing[0]} is not {differing[1]}")
            if not server.silent:
                observed(server, workload, held, items[server.name])
    for server in servers:
        pages(server)
    return {server.name: durable(server) for server in servers}
