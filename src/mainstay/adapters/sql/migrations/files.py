"""The revision files of a team, read without running them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Literal, NamedTuple

_REVISION = re.compile(r"""^revision(?:\s*:[^=]+)?\s*=\s*["']([^"']+)["']\s*$""", re.MULTILINE)
_FOLLOWS = re.compile(r"""^down_revision(?:\s*:[^=]+)?\s*=\s*(?:["']([^"']+)["']|None)\s*$""", re.MULTILINE)

_PHASE = re.compile(r"""^phase(?:\s*:[^=]+)?\s*=\s*["']([^"']*)["']\s*$""", re.MULTILINE)

Phase = Literal["expand", "contract"]
"""What a revision does to those who serve meanwhile: ``expand`` leaves the version before it whole, ``contract`` takes
away what that version needs, and is run once none of it serves."""

NAME_LENGTH = 32
"""The characters that a revision's name may have: what Alembic's table holds."""


class MigrationFault(Exception):
    """A migration cannot be planned or carried out: what is in the way, and what to do."""


class Revision(NamedTuple):
    """One file: its name, the name of the one it follows (None: it is the first), and where it is.

    One without a phase is carried out in one transaction, and counts as one that the version before it can live with.
    """

    name: str
    follows: str | None
    path: Path
    phase: Phase | None = None


def read_chain(directory: Path) -> list[Revision]:
    """Return the revisions in their order. Raises ``MigrationFault`` where they are no single chain."""
    found = [_read(path) for path in sorted(directory.glob("*.py")) if not path.name.startswith("__")]
    after: dict[str | None, list[Revision]] = {}
    for revision in found:
        after.setdefault(revision.follows, []).append(revision)
    chain: list[Revision] = []
    last: str | None = None
    while following := after.pop(last, None):
        if len(following) > 1:
            raise MigrationFault(_forked(last, following))
        chain.append(following[0])
        last = following[0].name
    if after:
        lost = next(iter(after.values()))[0]
        raise MigrationFault(f"{lost.path}: it follows {lost.follows}, which is no revision in {directory}")
    return chain


def _read(path: Path) -> Revision:
    text = path.read_text("utf-8")
    name, follows = _REVISION.search(text), _FOLLOWS.search(text)
    if name is None or follows is None:
        raise MigrationFault(
            f'{path}: a revision file has the lines revision = "..." and down_revision = "..." (None in the first one)'
        )
    return Revision(name[1], follows[1], path, _phase(text, path))


def _phase(text: str, path: Path) -> Phase | None:
    found = _PHASE.search(text)
    if found is None:
        return None
    if found[1] == "expand":
        return "expand"
    if found[1] == "contract":
        return "contract"
    raise MigrationFault(f'{path}: phase is "expand" or "contract", or is left out, not "{found[1]}"')


def before_contract(chain: Sequence[Revision], names: Sequence[str]) -> list[str]:
    """Return those revisions of a run that come before the first that takes something away."""
    contracts = {revision.name for revision in chain if revision.phase == "contract"}
    return list(takewhile(lambda name: name not in contracts, names))


def _forked(last: str | None, following: list[Revision]) -> str:
    files = " and ".join(str(revision.path) for revision in following)
    before = f"follow {last}" if last is not None else "are the first"
    return f"{files} both {before}: set down_revision of one of them to the name of the other, and rename its file"


def next_name(chain: list[Revision], message: str) -> str:
    """Return the name of the revision behind a chain: a number and a few words."""
    numbers = [int(match[0]) for revision in chain if (match := re.match(r"\d+", revision.name))]
    words = re.sub(r"[^a-z0-9]+", "_", message.lower()).strip("_") or "change"
    name = f"{max(numbers, default=0) + 1:04}"
    for word in words.split("_"):
        if len(name) + 1 + len(word) > NAME_LENGTH:
            break
        name = f"{name}_{word}"
    return name
