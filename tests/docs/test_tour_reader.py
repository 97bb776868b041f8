"""The reader of pages does what a reader would do, and complains where the page is wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tour import Block, Reader, TourError, blocks, matches, section, steps


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path, dict(os.environ))
    yield reader
    reader.close()


def console(text: str, *words: str) -> Block:
    return Block("console", words, text, 1)


def test_a_section_ends_at_the_next_heading_of_its_rank() -> None:
    page = "# P\n## Tour\na\n### Part\n```console\n$ x\n# no heading\n```\n## Next\nb\n"
    assert section(page, "Tour") == "a\n### Part\n```console\n$ x\n# no heading\n```\n"


def test_a_missing_section_is_named() -> None:
    with pytest.raises(TourError, match="Tour"):
        section("# P\n", "Tour")


def test_blocks_know_their_words() -> None:
    page = '```console server\n$ a\n```\n\n```python file="a b.py"\nx = 1\n```\n'
    first, second = blocks(page)
    assert (first.language, first.words, first.text) == ("console", ("server",), "$ a\n")
    assert (second.option("file"), second.option("append"), second.line) == ("a b.py", None, 5)


def test_commands_go_on_after_a_backslash() -> None:
    first, second = steps("$ echo a \\\n    b\na b\n$ echo c\n")
    assert (first.command, first.expected) == ("echo a \\\n    b", ["a b"])
    assert (second.command, second.expected) == ("echo c", [])


def test_output_before_any_command_is_a_fault_of_the_page() -> None:
    with pytest.raises(TourError, match="before any command"):
        steps("out of nowhere\n")


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        (["a"], "a\n", True),
        (["a"], "b\n", False),
        (["a"], "a\nb\n", False),
        (["a", "..."], "a\nb\nc\n", True),
        (["...", "c"], "a\nb\nc\n", True),
        (["id ... end"], "id 42 end\n", True),
        (["id ... end"], "id 42\n", False),
        (["a.b"], "axb\n", False),
    ],
)
def test_dots_stand_for_anything(expected: list[str], printed: str, same: bool) -> None:
    assert matches(expected, printed) is same


def test_folder_and_variables_carry_over(reader: Reader, tmp_path: Path) -> None:
    reader.follow(console("$ mkdir sub && cd sub && export A=1\n"))
    reader.follow(Block("python", ("file=x/y.txt",), "one\n", 1))
    reader.follow(Block("python", ("append=x/y.txt",), "two\n", 1))
    reader.follow(console("$ cat x/y.txt; echo $A\none\ntwo\n1\n"))
    assert (tmp_path / "sub/x/y.txt").exists()


def test_a_wrong_output_fails(reader: Reader) -> None:
    with pytest.raises(TourError, match="should print"):
        reader.follow(console("$ echo a\nb\n"))


def test_a_wrong_exit_code_fails(reader: Reader) -> None:
    reader.follow(console("$ (exit 3)  # exits 3\n"))
    with pytest.raises(TourError, match="exits with 1"):
        reader.follow(console("$ false\n"))


def test_what_is_only_shown_is_not_run(reader: Reader) -> None:
    reader.follow(console("$ false\n", "skip"))


SERVER = """
import signal, sys, time

def end(*_):
    open("bye", "w").write("bye")
    sys.exit(0)

signal.signal(signal.SIGINT, end)
print("ready", flush=True)
while True:
    time.sleep(0.1)
"""


def test_a_server_runs_until_control_c(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER)  # of no process that it would have to end
    reader.follow(console(f"$ {sys.executable} server.py\nready\n", "server"))
    reader.follow(console("$ echo meanwhile\nmeanwhile\n^C\n$ cat bye\nbye\n"))


def test_a_server_that_ends_at_once_fails(reader: Reader) -> None:
    with pytest.raises(TourError, match="should come to print"):
        reader.follow(console("$ echo fault\nready\n", "server"))


def test_a_server_that_has_ended_is_noticed_at_control_c(reader: Reader) -> None:
    reader.follow(console("$ echo ready\nready\n", "server"))
    reader.follow(console("$ sleep 0.2\n"))
    with pytest.raises(TourError, match="had ended"):
        reader.follow(console("^C\n"))
