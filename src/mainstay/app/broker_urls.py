"""The URL of a broker, taken apart: servers, credentials, and the options behind the question mark."""

from __future__ import annotations

import re
import ssl
from collections.abc import Collection, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from mainstay.app.refusal import Refusal

_FLAGS: Mapping[str, bool] = {"true": True, "1": True, "false": False, "0": False}
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
PREFIX = re.compile(r"[A-Za-z0-9_-]{1,60}")
"""What names in a broker may begin with."""


class BrokerUrl:
    """A URL whose options are all known. No message of its faults has any part of it but names of options.

    ``source`` says where it, the ``setting``, was set, ``example`` what one looks like. Raises ``Refusal``.
    """

    def __init__(
        self, text: str, *, source: str, example: str, options: Collection[str], setting: str = "events"
    ) -> None:
        self._setting = setting
        self._source = source
        self._example = example
        try:
            parts = urlsplit(text)
            pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        except ValueError:
            raise self.refusal("is no URL") from None
        credentials, _, self.hosts = parts.netloc.rpartition("@")
        user, _, password = credentials.partition(":")
        self.scheme = parts.scheme
        self.user, self.password = unquote(user), unquote(password)
        self.netloc = parts.netloc
        self.path = parts.path
        found = [_HOST.fullmatch(host) for host in self.hosts.split(",")]
        if not all(match and int(match[1] or 1) in range(1, 65_536) for match in found):
            raise self.refusal("names no host")
        if parts.fragment:
            raise self.refusal("has a part behind #", "what a password has of :/?#[]@% is percent-encoded")
        self._options = dict(pairs)
        if len(self._options) < len(pairs):
            raise self.refusal("has an option twice")
        if unknown := sorted(set(self._options) - set(options)):
            shown = ", ".join(name for name in unknown if name.isidentifier()) or "one that is no name"
            raise self.refusal(f"has options that are not known: {shown}", f"known are {', '.join(sorted(options))}")

    def refusal(self, problem: str, *remedies: str) -> Refusal:
        """Return what to raise."""
        return Refusal(f"{self._setting} ({self._source}) {problem}", *remedies, f"for example {self._example}")

    def text(self, name: str, default: str, pattern: re.Pattern[str], meaning: str) -> str:
        """Return an option that is one of these texts."""
        value = self._options.get(name, default)
        if value != default and not pattern.fullmatch(value):
            raise self.refusal(f"has a wrong {name}: it is {meaning}")
        return value

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """Return an option that is a number."""
        value = self._options.get(name)
        if value is None:
            return default
        if not value.isascii() or not value.isdecimal() or not least <= int(value[:19]) <= most:
            raise self.refusal(f"has a wrong {name}: it is a number from {least} to {most}")
        return int(value)

    def flag(self, name: str) -> bool:
        """Return an option that is on or off, off where it is not given."""
        value = self._options.get(name, "false")
        if value not in _FLAGS:
            raise self.refusal(f"has a wrong {name}: it is true or false")
        return _FLAGS[value]

    def file(self, name: str, root: Path) -> Path | None:
        """Return the file that an option names, from ``root`` on where it is relative, or None."""
        value = self._options.get(name)
        if value is None:
            return None
        path = root / value
        if not path.is_file():
            raise self.refusal(f"has a wrong {name}: there is no such file")
        return path

    def tls(self, root: Path) -> ssl.SSLContext:
        """Return the context of a client: ``ca`` is whom to trust instead of the system's authorities."""
        authorities, certificate, key = (self.file(name, root) for name in TLS_OPTIONS)
        try:
            context = ssl.create_default_context(cafile=authorities)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if certificate is not None:
                context.load_cert_chain(certificate, key)
        except OSError as fault:  # ssl.SSLError is one
            raise self.refusal(f"has TLS files that cannot be used: {fault.strerror or 'they are not PEM'}") from None
        return context


TLS_OPTIONS = ("ca", "certificate", "key")
"""Files: the authorities to trust, and what a client shows of itself."""
