"""Counting what a store is asked for: ``with assert_queries(2): ...``."""

from __future__ import annotations

from contextvars import ContextVar, Token
from types import TracebackType

from mainstay.adapters.observe.statements import RepeatedReads, WatchedStore
from mainstay.ports.observer import Observer
from mainstay.ports.statements import Statement, Watch, Watching
from mainstay.ports.store import Store

_COUNTING: ContextVar[tuple[AssertQueries, ...]] = ContextVar("mainstay_counting", default=())
"""Whose blocks are open, from the outermost."""


class AssertQueries:
    """A block in which the statements of stores are counted: see ``assert_queries``.

    ``statements`` holds them, in the order in which they ran; ``kept`` those on rows that Mainstay keeps for itself.
    """

    def __init__(self, expected: int | None, at_most: int | None) -> None:
        self.statements: list[Statement] = []
        self.kept: list[Statement] = []
        self._expected = expected
        self._at_most = at_most
        self._token: Token[tuple[AssertQueries, ...]] | None = None

    def __enter__(self) -> AssertQueries:
        if self._token is not None:
            raise RuntimeError("this block was entered before: ask for another one by assert_queries(...)")
        self._token = _COUNTING.set((*_COUNTING.get(), self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            _COUNTING.reset(self._token)
        if error is None:
            self._check()

    def __len__(self) -> int:
        return len(self.statements)

    def ran(self, statement: Statement) -> None:
        """Count a statement."""
        (self.kept if statement.kept else self.statements).append(statement)

    def told(self) -> str:
        """Return the statements in words, a line each, with the lines of code that asked for them."""
        if not self.statements:
            return " (it counts what a Client, or a memory_unit, asks for within the block)"
        width = max(len(statement.words) for statement in self.statements)
        lines = (f"  {n}. {each.words:<{width}}  {each.line or ''}" for n, each in enumerate(self.statements, 1))
        return ":\n" + "\n".join(line.rstrip() for line in lines)

    def _check(self) -> None:
        ran, expected, most = len(self.statements), self._expected, self._at_most
        if expected is not None and ran != expected:
            raise AssertionError(f"{ran} queries ran, expected {expected}{self.told()}")
        if most is not None and ran > most:
            raise AssertionError(f"{ran} queries ran, expected {most} at most{self.told()}")


def assert_queries(expected: int | None = None, /, *, at_most: int | None = None) -> AssertQueries:
    """Expect that the block asks a store for so many things, exactly or ``at_most``; with neither it only counts.

    It counts what the services of ``Client`` and the repositories of ``memory_unit`` ask for within the block, the same
    on every store: each read is one, each change is one, rows of one entity that are added one after another are one.
    Writes count when they are carried out. What Mainstay keeps for itself (events, idempotency records) is not counted,
    and neither is what a test asks for by ``given()`` and ``stored()``::

        with assert_queries(2) as queries:
            await client.get("/orders?include=lines", who=ANN)
        assert queries.statements[0].words.startswith("fetch Order")

    Raises ``AssertionError``, at the end of the block, with all that ran and the lines that asked for it.
    """
    return AssertQueries(expected, at_most)


class _Watch(Watch):
    """Tells open blocks of what a store is asked for, and looks for reads that are repeated."""

    def __init__(self, observer: Observer) -> None:
        self._repeated = RepeatedReads(observer)

    def begun(self) -> Watching:
        return _InBlocks(self._repeated.begun())


class _InBlocks(Watching):
    """Passes a statement on to the blocks that are open when it runs, and to one who always hears."""

    def __init__(self, always: Watching) -> None:
        self._always = always

    def ran(self, statement: Statement) -> None:
        for block in _COUNTING.get():
            block.ran(statement)
        self._always.ran(statement)

    def ended(self) -> None:
        self._always.ended()


def watched(store: Store, observer: Observer) -> Store:
    """Return a store whose statements ``assert_queries`` counts; ``observer`` is told of reads that are repeated."""
    return WatchedStore(store, _Watch(observer))
