"""Workers tell each other their figures, and none is waited for that is stuck or gone."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import Iterable
from pathlib import Path

from mainstay.app.siblings import Siblings


def first(snapshots: Iterable[bytes]) -> bytes:
    return b"+".join(snapshots)


async def test_each_worker_gathers_all_snapshots_its_own_first(tmp_path: Path) -> None:
    workers = [Siblings(tmp_path, index, lambda index=index: b"%d" % index * 100_000, first) for index in range(3)]
    for worker in workers:
        await worker.start()
    (path,) = tmp_path.glob("worker-0-*.sock")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for index, worker in enumerate(workers):
        told = await worker.gather()
        assert told[0] == b"%d" % index * 100_000
        assert sorted(told) == [b"%d" % other * 100_000 for other in range(3)]
    for worker in workers:
        await worker.stop()
    assert list(tmp_path.glob("worker-*")) == []


async def test_a_worker_that_died_is_left_out_and_its_seat_is_taken_over(tmp_path: Path) -> None:
    dead = Siblings(tmp_path, 1, lambda: b"old", first)
    await dead.start()
    assert dead._server is not None
    dead._server.close()  # as a kill leaves it: the file is there, nobody answers
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "worker-1-dead.sock"))
    alive = Siblings(tmp_path, 0, lambda: b"alive", first)
    await alive.start()
    assert await alive.gather() == [b"alive"]
    next_one = Siblings(tmp_path, 1, lambda: b"new", first)
    await next_one.start()
    assert not (tmp_path / "worker-1-dead.sock").exists()
    assert await alive.gather() == [b"alive", b"new"]
    await alive.stop()
    await next_one.stop()


async def test_a_worker_that_is_stuck_costs_a_second(tmp_path: Path) -> None:
    held: list[asyncio.StreamWriter] = []
    stuck = await asyncio.start_unix_server(lambda _, writer: held.append(writer), tmp_path / "worker-7-00.sock")
    worker = Siblings(tmp_path, 0, lambda: b"me", first)
    await worker.start()
    began = asyncio.get_running_loop().time()
    assert await worker.gather() == [b"me"]
    assert asyncio.get_running_loop().time() - began < 3
    await worker.stop()
    for writer in held:
        writer.close()
        await writer.wait_closed()
    stuck.close()


async def test_what_a_worker_counted_stays_counted_when_it_has_left(tmp_path: Path) -> None:
    staying = Siblings(tmp_path, 0, lambda: b"staying", first)
    await staying.start()
    for number in range(80):
        leaving = Siblings(tmp_path, 1, lambda number=number: b"%d" % number, first)
        await leaving.start()
        assert b"%d" % number in await staying.gather()
        await leaving.stop()
        told = await staying.gather()
        assert sorted(b"+".join(told[1:]).split(b"+"), key=int) == [b"%d" % one for one in range(number + 1)]
    assert len(list(tmp_path.iterdir())) < 45
    await staying.stop()
    await staying.stop()


async def test_who_answers_is_not_counted_once_more_as_departed(tmp_path: Path) -> None:
    """A worker writes its last figures before it falls silent."""
    staying, leaving = (Siblings(tmp_path, index, lambda index=index: b"%d" % index, first) for index in range(2))
    await staying.start()
    await leaving.start()
    (tmp_path / f"departed-{leaving._name}").write_bytes(b"1")
    assert await staying.gather() == [b"0", b"1"]
    await leaving.stop()
    assert await staying.gather() == [b"0", b"1"]
    await staying.stop()
