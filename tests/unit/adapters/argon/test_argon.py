"""Passwords: hashed beside the loop, a bounded number at a time, at one cost whoever's they are."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest

from mainstay import Unavailable
from mainstay.adapters.argon.hasher import NICENESS, ArgonHasher
from mainstay.adapters.argon.rules import ListedPasswords, ListUnusable, listed_in

PASSWORD = "a wet lantern hums"


@pytest.fixture
def hasher() -> Iterator[ArgonHasher]:
    made = ArgonHasher(memory=8, iterations=1, threads=1, waiting=2)
    yield made
    made.close()


async def test_a_hash_is_of_its_password_only(hasher: ArgonHasher) -> None:
    hashed = await hasher.hash(PASSWORD)
    assert hashed.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert hashed != await hasher.hash(PASSWORD)  # each has a salt of its own
    assert await hasher.verify(hashed, PASSWORD)
    for other in ("", PASSWORD + " ", PASSWORD.upper(), PASSWORD[:-1], "\x00" + PASSWORD):
        assert not await hasher.verify(hashed, other)


@pytest.mark.parametrize("hashed", [None, "", "x", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv", "$argon2i$v=19$m=8"])
async def test_what_is_no_hash_is_of_no_password(hasher: ArgonHasher, hashed: str | None) -> None:
    assert not await hasher.verify(hashed, PASSWORD)
    assert not await hasher.verify(hashed, "")


async def test_an_account_that_is_not_there_costs_a_hash(hasher: ArgonHasher, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    fits = hasher._fits

    def counted(hashed: str, password: str) -> bool:
        seen.append(hashed)
        return fits(hashed, password)

    monkeypatch.setattr(hasher, "_fits", counted)
    await hasher.verify(None, PASSWORD)
    assert seen[0].startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert hasher.outdated(seen[0]) is False
    real = await hasher.hash(PASSWORD)
    assert len(seen[0]) == len(real)


async def test_letters_are_the_same_however_they_are_composed(hasher: ArgonHasher) -> None:
    hashed = await hasher.hash("caf\u00e9 \ufb01sh \u2167")
    assert await hasher.verify(hashed, "cafe\u0301 fish VIII")


async def test_weaker_parameters_are_outdated(hasher: ArgonHasher) -> None:
    stronger = ArgonHasher(memory=16, iterations=1)
    weak, strong = await hasher.hash(PASSWORD), await stronger.hash(PASSWORD)
    assert stronger.outdated(weak)
    assert not stronger.outdated(strong)
    assert await stronger.verify(weak, PASSWORD)
    stronger.close()


async def test_one_too_many_is_refused_at_once(hasher: ArgonHasher, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(hasher, "_fits", lambda _hashed, _password: gate.wait(10))
    waiting = [asyncio.create_task(hasher.verify(None, PASSWORD)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as caught:
        await hasher.verify(None, PASSWORD)
    assert caught.value.retry_after == 1.0
    gate.set()
    await asyncio.gather(*waiting)
    monkeypatch.undo()
    assert await hasher.verify(await hasher.hash(PASSWORD), PASSWORD)


async def test_who_leaves_gives_its_place_back_when_the_work_is_done(
    hasher: ArgonHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    monkeypatch.setattr(hasher, "_fits", lambda _hashed, _password: gate.wait(10))
    leaving = [asyncio.create_task(hasher.verify(None, PASSWORD)) for _ in range(3)]
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    await asyncio.gather(*leaving, return_exceptions=True)
    gate.set()
    monkeypatch.undo()
    assert await hasher.verify(await hasher.hash(PASSWORD), PASSWORD)


async def test_other_work_goes_on_meanwhile(hasher: ArgonHasher, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, turns = threading.Event(), 0
    monkeypatch.setattr(hasher, "_fits", lambda _hashed, _password: gate.wait(10))
    hashing = asyncio.create_task(hasher.verify(None, PASSWORD))
    for _ in range(100):
        await asyncio.sleep(0)
        turns += 1
    assert not hashing.done()
    gate.set()
    await hashing
    assert turns == 100


async def test_the_threads_are_behind_the_loop_for_the_processor(hasher: ArgonHasher) -> None:
    def niceness(_hashed: str, _password: str) -> Any:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return True

    found: list[int] = []
    hasher._fits = niceness  # type: ignore[method-assign]
    await hasher.verify(None, PASSWORD)
    assert found[0] >= NICENESS
    assert os.getpriority(os.PRIO_PROCESS, 0) < found[0]


async def refused(password: str, *about: str, **more: Any) -> str | None:
    rules = ListedPasswords(**{"least": 8, "most": 64, "service": "Corner shop", **more})
    return await rules.refusal(password, about)


@pytest.mark.parametrize(
    "password",
    ["a wet lantern hums", "\u5bc6\u7801\u5bc6\u7801\u5f88\u957f\u7684\u5bc6\u7801", "x7!kQ9#z", "Annabel likes tea"],
)
async def test_a_good_password_of_any_letters_is_taken(password: str) -> None:
    assert await refused(password, "ann@shop.example", "Ann") is None


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("1234567", "at least 8"),
        ("ab c" * 17, "at most 64"),
        ("\ufb01\ufb01\ufb01\ufb01\ufb01abc" * 8, "at most 64"),  # a ligature is two letters
        ("abababab", "more than three"),
        ("iloveyou", "many have used"),
        ("ILoveYou", "many have used"),
        ("iloveyou2024", "many have used"),
        (" iloveyou ", "many have used"),
        ("annabel.smith", "address or name"),
        ("Annabel-Smith-1990", "address or name"),
        ("annabelannabel", "address or name"),
        ("shop.example1", "address or name"),
        ("CornerShop!", "service's name"),
    ],
)
async def test_what_is_tried_first_is_refused(password: str, why: str) -> None:
    told = await refused(password, "annabel.smith@shop.example", "Annabel Smith")
    assert told is not None
    assert why in told
    assert password not in told


async def test_a_file_of_plain_lines(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("correct horse battery\nsesame sesame open\n", encoding="utf-8")
    assert await refused("sesame sesame open", file=file) is not None
    assert await refused("Sesame Sesame Open", file=file) is not None
    assert await refused("something else here", file=file) is None


@pytest.mark.parametrize("form", ["{}\n", "{}:17\r\n"], ids=["digests", "with counts"])
@pytest.mark.parametrize("count", [1, 2, 3, 1000])
async def test_a_file_of_digests_in_order(tmp_path: Path, form: str, count: int) -> None:
    file = tmp_path / "digests.txt"
    passwords = [f"password of {n}" for n in range(count)]
    digests = sorted(sha1(text.encode(), usedforsecurity=False).hexdigest().upper() for text in passwords)
    file.write_bytes("".join(form.format(digest) for digest in digests).encode())
    listed = listed_in(file)
    assert all(map(listed, passwords))
    assert not any(listed(f"another of {n}") for n in range(50))


async def test_a_file_without_a_line_break_at_its_end(tmp_path: Path) -> None:
    file = tmp_path / "digests.txt"
    digests = sorted(sha1(str(n).encode(), usedforsecurity=False).hexdigest() for n in range(5))
    file.write_text("\n".join(digests), encoding="ascii")
    assert all(listed_in(file)(str(n)) for n in range(5))


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ListUnusable, match="cannot be read"):
        ListedPasswords(least=8, most=64, file=tmp_path / "missing.txt")


def test_a_file_that_is_too_large_for_memory_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "list.txt"
    file.write_text("one\ntwo\n", encoding="ascii")
    monkeypatch.setattr("mainstay.adapters.argon.rules._PLAIN_BYTES", 4)
    with pytest.raises(ListUnusable, match="give SHA-1 digests"):
        listed_in(file)
