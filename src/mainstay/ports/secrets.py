"""Secrets that are kept elsewhere: references to them, where they are read, and values that stay those of now."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping

import msgspec

from mainstay.model.values import Secret

_REFERENCE = re.compile(r"(env|file|vault|aws-sm)://([^#\s][^#]*)(?:#(\S+))?")


class Reference(msgspec.Struct, frozen=True):
    """Where a secret is: ``vault://kv/shop#password`` is the member ``password`` of the document ``kv/shop``."""

    scheme: str
    path: str
    key: str = ""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.path}" + (f"#{self.key}" if self.key else "")


def reference_of(text: str) -> Reference | None:
    """Return the reference that a text is, or None for a text that stands for itself."""
    match = _REFERENCE.fullmatch(text)
    return None if match is None else Reference(match[1], match[2], match[3] or "")


class SecretDocument(msgspec.Struct, frozen=True):
    """What is kept at one path: the whole as text, where it is one, and its members, where it has some.

    ``seconds`` is for how long it is lent (None: it is not). A representation shows nothing of it.
    """

    text: str | None = None
    members: Mapping[str, str] = {}
    seconds: float | None = None

    def __repr__(self) -> str:
        return "<SecretDocument>"


class SecretUnreadable(Exception):
    """A secret cannot be had. The message says why, and shows nothing of any secret."""


class SecretSource(ABC):
    """Where secrets are kept. It is asked at start, before there is an event loop, and later from a thread."""

    @abstractmethod
    def read(self, path: str) -> SecretDocument:
        """Return what is kept at a path now; this blocks. Raises ``SecretUnreadable``."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what was opened."""


def value_of(document: SecretDocument, reference: Reference) -> str:
    """Return what a reference means of a document. Raises ``SecretUnreadable``; an empty value is none."""
    if reference.key:
        found = document.members.get(reference.key)
        missing = f"there is no {reference.key} in it"
    elif document.text is not None:
        found, missing = document.text, ""
    else:
        found = next(iter(document.members.values())) if len(document.members) == 1 else None
        missing = f"it has {len(document.members)} members: name one, as {reference.scheme}://{reference.path}#NAME"
    if found is None:
        raise SecretUnreadable(missing)
    if not found.strip():
        raise SecretUnreadable("it is empty")
    return found


class LivingSecret(Secret[str]):
    """A secret that is kept elsewhere: ``reveal()`` returns the value of now.

    Who asks each time has the value of each time; who keeps what it made of a value is told of changes by the assembly.
    ``setting`` is the key that it is of. ``former`` is the value before the last change, for what was sealed with it.
    Two are equal only where they are the same one.
    """

    __slots__ = ("former", "reference", "setting")

    def __init__(self, reference: Reference, setting: str, value: str = "") -> None:
        super().__init__(value)
        self.reference: Reference = reference
        self.setting: str = setting
        self.former: str | None = None

    def take(self, value: str) -> None:
        """Have another value from now on."""
        self.former = self._value or None
        self._value = value

    def give_back(self, value: str, former: str | None) -> None:
        """Have the values again that were there before ``take``."""
        self._value, self.former = value, former

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)
