"""A place where secrets are kept: what is there is read, what is not is said to be so, and nothing is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, NamedTuple

import pytest

from mainstay.ports.secrets import SecretSource, SecretUnreadable

MARK = "CANARY-5d0b7e"


class Kept(NamedTuple):
    """A place under test, and a hand that puts things there: text, or members where it has such."""

    source: SecretSource
    put: Any


class SecretsConformance:
    """Every adapter of the port."""

    paths: ClassVar[tuple[str, str, str]] = ("one", "two", "none")
    """Of two documents, and of one that there is not."""
    texts: ClassVar[bool] = True
    """Whether a document is one text."""
    members: ClassVar[bool] = True
    """Whether a document has members."""
    changes: ClassVar[bool] = True
    """Whether a document may become another while a process runs."""

    def make(self) -> AbstractContextManager[Kept]:
        """Return a place with nothing in it: a subclass says how."""
        raise TypeError(f"{type(self).__name__} does not say how a place is made: give it make")

    @pytest.fixture
    def kept(self) -> Iterator[Kept]:
        """A place."""
        with self.make() as made:
            yield made
            made.source.close()

    def _put(self, kept: Kept, path: str, value: str) -> None:
        kept.put(path, value if self.texts and not self.members else {"key": value})

    def _get(self, kept: Kept, path: str) -> str | None:
        document = kept.source.read(path)
        members: Mapping[str, str] = document.members
        return members.get("key") if self.members else document.text

    def test_what_was_put_is_read(self, kept: Kept) -> None:
        one, two, _ = self.paths
        self._put(kept, one, "first")
        self._put(kept, two, 'with "quotes", ümläute\nand a second line')
        assert self._get(kept, one) == "first"
        assert self._get(kept, two) == 'with "quotes", ümläute\nand a second line'

    def test_what_has_changed_is_read_anew(self, kept: Kept) -> None:
        if not self.changes:
            return
        for value in ("first", "second"):
            self._put(kept, self.paths[0], value)
            assert self._get(kept, self.paths[0]) == value

    def test_what_is_not_there_is_said_to_be_so(self, kept: Kept) -> None:
        self._put(kept, self.paths[0], MARK)
        for _ in range(2):
            with pytest.raises(SecretUnreadable) as refused:
                kept.source.read(self.paths[2])
            assert str(refused.value)
            assert MARK not in str(refused.value)

    def test_nothing_is_shown(self, kept: Kept) -> None:
        self._put(kept, self.paths[0], MARK)
        assert MARK not in repr(kept.source.read(self.paths[0]))
        assert MARK not in repr(kept.source)
