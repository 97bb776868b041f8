"""Secrets of this machine: variables and files."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainstay.adapters.local.secrets import MAX_BYTES, EnvironmentSecrets, FileSecrets
from mainstay.ports.secrets import SecretUnreadable


def test_a_variable_is_read() -> None:
    source = EnvironmentSecrets({"A": " b\n"})
    assert source.read("A").text == " b\n"
    with pytest.raises(SecretUnreadable, match="no such variable"):
        source.read("B")
    source.close()


def test_a_file_is_read_without_the_line_break_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(" a\nb \r\n\n")
    for path in ("key", str(tmp_path / "key")):
        assert FileSecrets(tmp_path).read(path).text == " a\nb "
    FileSecrets(tmp_path).close()


def test_a_file_that_cannot_be_read_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfehidden")
    (tmp_path / "long").write_bytes(b"x" * (MAX_BYTES + 1))
    for path, says in (("none", "No such file"), (".", "Is a directory"), ("binary", "not UTF-8"), ("long", "1 MiB")):
        with pytest.raises(SecretUnreadable, match=says) as refused:
            FileSecrets(tmp_path).read(path)
        assert "hidden" not in str(refused.value)
