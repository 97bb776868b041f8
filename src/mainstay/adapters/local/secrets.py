"""Secrets of this machine: variables of the environment, and files that somebody else writes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mainstay.ports.secrets import SecretDocument, SecretSource, SecretUnreadable

MAX_BYTES = 1024 * 1024


class EnvironmentSecrets(SecretSource):
    """Variables: ``env://DATABASE_PASSWORD``. They do not change while a process runs."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def read(self, path: str) -> SecretDocument:
        """Return the value of a variable."""
        if path not in self._environ:
            raise SecretUnreadable("there is no such variable")
        return SecretDocument(self._environ[path])

    def close(self) -> None:
        """Nothing was opened."""


class FileSecrets(SecretSource):
    """Files: ``file:///run/secrets/key``, or ``file://secrets/key`` below ``root``. A line break at the end is cut.

    A file that is replaced by renaming, as Kubernetes and Vault's agent do, is read whole, before or after.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> SecretDocument:
        """Return what a file holds."""
        try:
            with (self._root / path).open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
            text = raw.decode()
        except OSError as error:
            raise SecretUnreadable(f"it cannot be read: {os.strerror(error.errno or 0)}") from None
        except UnicodeDecodeError:
            raise SecretUnreadable("it is not UTF-8 text") from None
        if len(raw) > MAX_BYTES:
            raise SecretUnreadable("it has more than 1 MiB")
        return SecretDocument(text.rstrip("\r\n"))

    def close(self) -> None:
        """Nothing stays open."""
