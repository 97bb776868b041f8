"""Floods of events: the same ones again and again in any order, and poison among them."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from post_office import PostOffice
from served import Broken, ask

from mainstay import Principal
from mainstay.adapters.local.clock import SystemClock
from mainstay.app.brokers import make_broker
from mainstay.app.logs import make_operator_log
from mainstay.app.settings import load
from mainstay.kernel.flow.envelope import Envelope, encode
from mainstay.kernel.flow.places import microseconds
from mainstay.kernel.flow.principals import encode_principal
from mainstay.ports.broker import Outgoing

EVENT = "sender.Sent"
KEYS = 40
BATCH = 250
AT_ONCE = 100  # letters of a transaction
POISON = 0.03
FOLLOWERS = 2  # letters of the same key behind a poisonous one, in a tenth of the cases
PATIENCE = 300.0
REST = 2.0  # seconds in which the last copies leave the broker, which is quicker than the effects are

Drilled = tuple[dict[str, Any], dict[str, Any]]


# --- duplicates


async def duplicates(office: PostOffice, wanted: Any, chance: random.Random) -> Drilled:
    """Publish each message 1 to 5 times, in any order, and count effects."""
    await asyncio.to_thread(office.join)
    for each in office.consumers[1:]:
        each.start()
    messages = _messages(wanted.count, chance)
    copies = shuffled(messages, wanted.window, chance)
    begun = time.monotonic()
    await _publish(office, copies)
    await _until(lambda: office.noted() + len(office.dead()) + office.parked() >= wanted.count, office)
    taken = time.monotonic() - begun
    await asyncio.sleep(REST)
    await _until(lambda: office.noted() > wanted.count or not office.queued(), office)
    marks = [mark for (mark,) in office.receiver.books.ask("SELECT mark FROM receiver_effect")]
    found = {
        "effects": [len(marks), wanted.count] if len(marks) != wanted.count else [],
        "effects_twice": len(marks) - len(set(marks)),
        "out_of_order": office.receiver.number("SELECT coalesce(sum(disorder), 0) FROM receiver_place"),
        "dead_letters": [[cause, attempts] for cause, attempts, _ in office.dead()[:5]],
    }
    figures = {"messages": wanted.count, "delivered": len(copies), "effects": len(marks), "seconds": round(taken, 1)}
    return {name: what for name, what in found.items() if what}, figures


def _messages(count: int, chance: random.Random) -> list[Outgoing]:
    """Return messages as the sender would publish them: two thirds with a key, and all that belongs to it."""
    now = datetime.now(UTC)
    principal, moment = encode_principal(Principal.anonymous), microseconds(now)
    last: dict[str, tuple[int, int]] = {}  # by key: the number of its last letter, and its sequence
    made = []
    for number in range(count):
        key = "" if chance.random() < 1 / 3 else f"key {chance.randrange(KEYS)}"
        n, previous = last.get(key, (0, 0))
        sequence = moment + number if key else 0
        last[key] = (n + 1, sequence)
        payload = {"mark": f"{number}", "lane": key, "n": n + 1, "poison": False}
        envelope = Envelope(
            id=UUID(int=chance.getrandbits(128)),
            source="sender",
            event=EVENT,
            key=key or None,
            payload=json.dumps(payload),
            principal=principal,
            request_id="",
            traceparent=None,
            emitted_at=now,
            sequence=sequence,
            previous=previous,
        )
        made.append(Outgoing(id=envelope.id, topic=EVENT, key=key, body=encode(envelope)))
    return made


def shuffled(messages: Sequence[Outgoing], window: int, chance: random.Random) -> list[Outgoing]:
    """Return each message 1 to 5 times: once anywhere in its window, and again anywhere behind the window's begin.

    A window is what a key may be late by: behind a message that does not come its key waits for 30 s, and no longer.
    """
    placed: list[tuple[float, int]] = []
    for number in range(len(messages)):
        begin = number - number % window
        placed.append((begin + chance.random() * window, number))
        placed += [(chance.uniform(begin, len(messages)), number) for _ in range(chance.randrange(5))]
    return [messages[number] for _, number in sorted(placed)]


async def _publish(office: PostOffice, copies: Sequence[Outgoing]) -> None:
    environ = {"MAINSTAY_PROFILE": "development", "MAINSTAY_EVENTS": office.url}
    settings = load(office.receiver.folder, environ=environ)
    broker = make_broker(settings, SystemClock(), make_operator_log(settings, SystemClock()))
    assert broker is not None
    await broker.open([EVENT])
    try:
        for start in range(0, len(copies), BATCH):
            batch = copies[start : start + BATCH]
            confirmed = set(await broker.publish(batch))
            if confirmed != {one.id for one in batch}:
                raise Broken("the broker did not confirm what was published")
    finally:
        await broker.close()


# --- poison


async def poison(office: PostOffice, wanted: Any, chance: random.Random) -> Drilled:
    """Have letters noted that wait, with poison among them and without, in turn; then redrive the dead ones."""
    await asyncio.to_thread(office.open)
    rates: dict[bool, list[float]] = {False: [], True: []}
    for number in range(2 * wanted.rounds):
        poisonous = (number % 4) in (1, 2)  # with and without take turns in being the first
        rates[poisonous].append(await _round(office, number, wanted.count, poisonous, chance))
    with_it, without = (sorted(rates[each])[wanted.rounds // 2] for each in (True, False))
    faults = _dead_faults(office)
    if with_it < wanted.keep * without:
        faults["throughput"] = [with_it, without]
    dead, parked = len(office.dead()), office.parked()
    (office.receiver.folder / "cured").touch()
    moved = await asyncio.to_thread(office.receiver.run, "events", "redrive", "--all")
    await _quiet(office)
    faults |= await asyncio.to_thread(office.look_at_the_end, set())
    figures = {"events": office.sent(), "dead": dead, "parked_behind": parked, "redriven": moved["messages"]}
    rates_told = {"others_a_second": round(with_it), "without_poison": round(without), "kept": with_it / without}
    return faults, {**figures, **rates_told, "kept": round(with_it / without, 2)}


async def _round(office: PostOffice, number: int, count: int, poisonous: bool, chance: random.Random) -> float:
    """Emit letters while nobody notes them, then have them noted. Returns how many healthy ones were in a second."""
    for each in office.consumers:
        await asyncio.to_thread(each.stop)
    healthy, sick, behind = f"{number}h", f"{number}s", f"{number}b"
    ill = round(count * POISON)
    for start in range(0, count - ill, AT_ONCE):
        share = round(ill * AT_ONCE / (count - ill)) if poisonous else 0
        lane = f"{number} {start}" if chance.random() < 0.5 else ""
        await _send(office, f"{healthy}.{start}", lane, min(AT_ONCE, count - ill - start))
        for one in range(share):
            if one % 10 == 0:  # some wait behind poison of their key
                await _send(office, f"{behind}.{start}.{one}", f"{behind}.{start}.{one}", 1 + FOLLOWERS, 1)
            else:
                await _send(office, f"{sick}.{start}.{one}", "", 1, 1)
    await _until(lambda: not office.relays or not office.sender.number("SELECT count(*) FROM mainstay_outbox"), office)
    for each in office.consumers:
        each.start()
    of_it = f"FROM receiver_effect WHERE mark LIKE '{healthy}.%'"
    await _until(lambda: office.receiver.number(f"SELECT count(*) {of_it}") >= count - ill, office)
    await _quiet(office)
    (span,) = office.receiver.books.ask(f"SELECT min(created_at), max(created_at) {of_it}")
    first, last = (_moment(one) for one in span)
    return (count - ill) / max(0.001, last - first)


async def _send(office: PostOffice, mark: str, lane: str, count: int, poison: int = 0) -> None:
    body = {"mark": mark, "lane": lane, "count": count, "poison": poison}
    status, told = await asyncio.to_thread(ask, office.sender.port, "/letters", "POST", body)
    if status != 201:
        raise Broken(f"a letter was not sent: {status} {told}")


def _dead_faults(office: PostOffice) -> dict[str, Any]:
    """Each poisonous letter is a dead letter with its cause, its attempts and its payload, and nothing else is one."""
    marks = {mark for (mark,) in office.sender.books.ask("SELECT mark FROM sender_letter WHERE poison")}
    dead = office.dead()
    told = {json.loads(payload)["mark"] for _, _, payload in dead}
    wrong = sorted({(cause, attempts) for cause, attempts, _ in dead} - {("spoilt", 3)})
    found = {"not_dead": sorted(marks - told)[:5], "dead_for_nothing": sorted(told - marks)[:5], "causes": wrong}
    return {name: what for name, what in found.items() if what}


async def _quiet(office: PostOffice) -> None:
    """Wait until nothing waits any more, and nothing comes for a while."""
    for _ in range(2):
        await _until(lambda: not office.queued(), office)
        await asyncio.sleep(REST)


async def _until(done: Callable[[], bool], office: PostOffice) -> None:
    deadline = time.monotonic() + PATIENCE
    while not await asyncio.to_thread(done):
        if time.monotonic() > deadline:
            raise Broken(f"it does not end\n{office.said()}")
        await asyncio.sleep(0.1)


def _moment(stored: Any) -> float:
    return datetime.fromisoformat(str(stored)).timestamp()
