"""Which passwords may be chosen, as NIST SP 800-63B (section 3.1.1.2) has it: by length and by lists, not by classes.

There is a bundled list of 30,000 common passwords (that of zxcvbn), and a file may be named beside it: plain lines, or
SHA-1 digests in the order of their text, with or without ``:count`` behind each, as "Have I Been Pwned" gives them.
"""

from __future__ import annotations

import asyncio
import mmap
import re
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha1
from pathlib import Path
from unicodedata import normalize

from mainstay.ports.passwords import PasswordRules

_DIGEST = re.compile(rb"[0-9A-Fa-f]{40}(?::[0-9]+)?\s*")
_WORD = 4  # letters that a part of an address or name must have to be looked for
_PLAIN_BYTES = 64 << 20  # of a file of plain lines, which is held in memory

Listed = Callable[[str], bool]


class ListUnusable(ValueError):
    """A list of passwords that cannot be read. The message says why."""


class ListedPasswords(PasswordRules):
    """Refuse what is too short or too long, what is in a list, and what is made of known texts.

    Lengths are in characters of the normal form NFKC. ``service`` is the service's name, which is no password for it.
    """

    def __init__(self, *, least: int, most: int, service: str = "", file: Path | None = None) -> None:
        self._least = least
        self._most = most
        self._service = service
        self._common: frozenset[str] = frozenset()
        self._listed: Listed | None = None if file is None else listed_in(file)

    async def refusal(self, password: str, about: Sequence[str] = ()) -> str | None:
        normal = normalize("NFKC", password)
        if len(normal) < self._least:
            return f"has at least {self._least} characters"
        if len(normal) > self._most:
            return f"has at most {self._most} characters"
        if len(set(normal)) < 4:
            return "is made of more than three different characters"
        if _is_made_of(normal, (*about, self._service)):
            return "is not made of the account's address or name, nor of the service's name"
        if await asyncio.to_thread(self._is_listed, normal):
            return "is one that many have used, and that is tried first: choose another"
        return None

    def _is_listed(self, password: str) -> bool:
        if not self._common:
            self._common = common_passwords()
        forms = {password, password.lower(), password.lower().rstrip("0123456789!.?"), password.lower().strip()}
        if not forms.isdisjoint(self._common):
            return True
        return self._listed is not None and any(self._listed(form) for form in forms)


def common_passwords() -> frozenset[str]:
    """Return the bundled list, in lower case."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])


def _is_made_of(password: str, about: Iterable[str]) -> bool:
    """Whether a password is one of the texts or a part of one, but for digits and signs around it."""
    left = re.sub(r"[^a-z]+", "", password.lower())
    words: set[str] = set()
    for text in about:
        for side in (text.lower(), *text.lower().split("@")):
            parts = re.split(r"[^a-z]+", side)
            words.update(("".join(parts), *parts))
    return any(len(word) >= _WORD and (left in (word, word * 2)) for word in words)


def listed_in(file: Path) -> Listed:
    """Return what looks a password up in a file. Raises ``ListUnusable``."""
    try:
        with file.open("rb") as opened:
            first = opened.readline()
        if _DIGEST.fullmatch(first) is None:
            return _plain(file)
        return _Digests(file).__contains__
    except (OSError, ValueError) as error:
        raise ListUnusable(f"{file} cannot be read as a list of passwords: {error}") from error


def _plain(file: Path) -> Listed:
    size = file.stat().st_size
    if size > _PLAIN_BYTES:
        raise ValueError(f"it has {size} bytes of plain lines, at most {_PLAIN_BYTES} are held: give SHA-1 digests")
    return frozenset(file.read_text(encoding="utf-8", errors="replace").splitlines()).__contains__


class _Digests:
    """SHA-1 digests in the order of their text, in a mapped file of any size: a look-up reads a few of its pages."""

    def __init__(self, file: Path) -> None:
        with file.open("rb") as opened:
            self._map = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)

    def __contains__(self, password: str) -> bool:
        wanted = sha1(password.encode(), usedforsecurity=False).hexdigest().encode()
        low, high = 0, len(self._map)  # the line looked for begins at low or behind it, and before high
        while low < high:
            middle = (low + high) // 2
            begin = self._map.rfind(b"\n", low, middle) + 1 or low
            end = self._map.find(b"\n", begin, high)
            end = high if end < 0 else end
            found = self._map[begin : begin + len(wanted)].lower()
            if found == wanted:
                return True
            if found < wanted:
                low = end + 1
            else:
                high = begin
        return False
