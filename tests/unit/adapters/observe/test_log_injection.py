"""Nothing that a caller wrote adds a line to the log, steers what it is read with, or fills it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from mainstay import Principal
from mainstay.adapters.observe.log import MAX_TEXT, LogObserver
from mainstay.adapters.observe.sink import Sink
from mainstay.model.problem import Kind
from mainstay.ports.observer import CallEnded, Notice
from mainstay.testing.fixed import FixedClock

STATUSES = dict.fromkeys(Kind, 500)
LINES = ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"]
STEERS = [
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x9b2J",
    "\x9d0;title\x9c",
    "\x08\x08",
    "\u202eevil",
    "\u2066x",
    "\ufeff",
]
FORGED = '{"level":"info","event":"call","principal":"admin"}'


def written(folder: Path, observation: Any, *, pretty: bool) -> bytes:
    path = folder / "log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    sink = Sink(descriptor)
    LogObserver(sink, FixedClock(), STATUSES, level="info", pretty=pretty).observe(observation)
    sink.close()
    os.close(descriptor)
    return path.read_bytes()


def call(text: str) -> CallEnded:
    who = Principal(id=UUID(int=1), subject=text)
    error = ValueError(text)
    return CallEnded(
        "op", "rest", "GET", f"/{text}", 500, Kind.INTERNAL, "internal", 0.1, who, "::1", "r", None, False, 1, error
    )


@pytest.mark.parametrize("bad", [*LINES, *STEERS])
@pytest.mark.parametrize("kind", ["call", "message", "fact"])
def test_json_is_one_line_of_text_that_steers_nothing(tmp_path: Path, bad: str, kind: str) -> None:
    text = f"a{bad}{FORGED}"
    made = {"call": call(text), "message": Notice("info", "e", text), "fact": Notice("info", "e", "m", {"f": [text]})}
    raw = written(tmp_path, made[kind], pretty=False)
    (line,) = raw.decode().splitlines()
    assert all(character.isprintable() for character in line)
    told = json.loads(line)
    found = {
        "call": lambda: told["path"][1:],
        "message": lambda: told["message"],
        "fact": lambda: told["facts"]["f"][0],
    }
    assert found[kind]() == text


@pytest.mark.parametrize("bad", [*LINES, *STEERS])
@pytest.mark.parametrize("kind", ["call", "message", "fact"])
def test_a_terminal_shows_it_and_does_not_obey(tmp_path: Path, bad: str, kind: str) -> None:
    text = f"a{bad}{FORGED}"
    made = {"call": call(text), "message": Notice("info", "e", text), "fact": Notice("info", "e", "m", {"f": text})}
    raw = written(tmp_path, made[kind], pretty=True).decode()
    plain = raw.replace("\x1b[2m", "").replace("\x1b[0m", "").replace("\x1b[31m", "").replace("\x1b[32m", "")
    head, _, trace = plain.rstrip("\n").partition("\n")
    assert head.isprintable()
    assert all(line.isprintable() for line in trace.split("\n"))
    if kind != "call":
        assert not trace
    assert not any(line.startswith("{") for line in trace.split("\n")[:-1])


def test_huge_values_are_cut(tmp_path: Path) -> None:
    huge = "x" * 10_000_000
    for number, facts in enumerate(({}, {"f": huge}, {"f": [huge]}, {"f": {huge: 1}})):
        folder = tmp_path / str(number)
        folder.mkdir()
        raw = written(folder, Notice("info", "e", huge if not facts else "m", facts), pretty=False)
        assert len(raw) < 2 * MAX_TEXT
        json.loads(raw)


def test_what_is_no_trouble_is_kept_as_it_is(tmp_path: Path) -> None:
    raw = written(tmp_path, Notice("info", "e", "größer 茶 \U0001f375", {"n": 1, "l": ["é"]}), pretty=False)
    assert "größer 茶 \U0001f375".encode() in raw
    assert json.loads(raw)["facts"] == {"n": 1, "l": ["é"]}
