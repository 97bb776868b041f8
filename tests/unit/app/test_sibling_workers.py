"""Workers tell each other their figures, and none is waited for that is stuck or gone."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

from mainstay.app.siblings import Siblings


async def test_each_worker_gathers_all_snapshots_its_own_first(tmp_path: Path) -> None:
    workers = [Siblings(tmp_path, index, lambda index=index: b"%d" % index * 100_000) for index in range(3)]
    for worker in workers:
        await worker.start()
    assert stat.S_IMODE((tmp_path / "worker-0.sock").stat().st_mode) == 0o600
    for index, worker in enumerate(workers):
        told = await worker.gather()
        assert told[0] == b"%d" % index * 100_000
        assert sorted(told) == [b"%d" % other * 100_000 for other in range(3)]
    for worker in workers:
        await worker.stop()
    assert list(tmp_path.iterdir()) == []


async def test_a_worker_that_died_is_left_out_and_its_seat_is_taken_over(tmp_path: Path) -> None:
    dead = Siblings(tmp_path, 1, lambda: b"old")
    await dead.start()
    assert dead._server is not None
    dead._server.close()  # as a kill leaves it: the file is there, nobody answers
    (tmp_path / "worker-1.sock").touch()
    alive = Siblings(tmp_path, 0, lambda: b"alive")
    await alive.start()
    assert await alive.gather() == [b"alive"]
    next_one = Siblings(tmp_path, 1, lambda: b"new")
    await next_one.start()
    assert await alive.gather() == [b"alive", b"new"]
    await alive.stop()
    await next_one.stop()


async def test_a_worker_that_is_stuck_costs_a_second(tmp_path: Path) -> None:
    held: list[asyncio.StreamWriter] = []
    stuck = await asyncio.start_unix_server(lambda _, writer: held.append(writer), tmp_path / "worker-7.sock")
    worker = Siblings(tmp_path, 0, lambda: b"me")
    await worker.start()
    began = asyncio.get_running_loop().time()
    assert await worker.gather() == [b"me"]
    assert asyncio.get_running_loop().time() - began < 3
    await worker.stop()
    for writer in held:
        writer.close()
        await writer.wait_closed()
    stuck.close()
