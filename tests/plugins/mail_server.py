"""A mail server on loopback that keeps what it is given: SMTP as far as a client of ours speaks it (RFC 5321)."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import NamedTuple


class Taken(NamedTuple):
    """A letter as it came: from whom, to whom, whether over TLS, by which user."""

    sender: str
    to: list[str]
    message: EmailMessage
    raw: bytes
    tls: bool
    user: str


class MailServer:
    """Says yes to all, but for what it is told to refuse or to keep silent about."""

    def __init__(self, context: ssl.SSLContext | None = None, *, at_once: bool = False) -> None:
        self._context = context
        self._at_once = at_once
        self.port = 0
        self.taken: list[Taken] = []
        self.refuse: dict[str, str] = {}  # by the verb: the line that is answered
        self.silent = False

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[MailServer]:
        """Serve until the block ends."""
        context = self._context if self._at_once else None
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _Session(self, reader, writer, tls=self._at_once).run(self._context)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class _Session:
    def __init__(
        self, server: MailServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, tls: bool
    ) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer
        self.tls = tls
        self.user = ""
        self.sender = ""
        self.to: list[str] = []

    async def run(self, context: ssl.SSLContext | None) -> None:
        if self.server.silent:
            await self.reader.read()
            return
        await self.say("220 mail.test")
        while line := await self.reader.readline():
            verb, _, rest = line.decode().strip().partition(" ")
            verb = verb.upper()
            if verb in self.server.refuse:
                await self.say(self.server.refuse[verb])
            elif verb == "STARTTLS":
                await self.say("220 go on")
                await self.writer.start_tls(context)  # type: ignore[arg-type]
                self.tls = True
            elif verb == "DATA":
                await self.say("354 go on")
                self.keep(await self.reader.readuntil(b"\r\n.\r\n"))
                await self.say("250 kept")
            else:
                await self.answer(verb, rest)
            if verb == "QUIT":
                return

    async def answer(self, verb: str, rest: str) -> None:
        if verb == "EHLO":
            await self.say("250-mail.test", *([] if self.tls else ["250-STARTTLS"]), "250 AUTH PLAIN")
        elif verb == "AUTH":
            self.user = b64decode(rest.partition(" ")[2]).split(b"\0")[1].decode()
            await self.say("235 welcome")
        elif verb == "MAIL":
            self.sender = rest.partition("<")[2].partition(">")[0]
            await self.say("250 fine")
        elif verb == "RCPT":
            self.to.append(rest.partition("<")[2].partition(">")[0])
            await self.say("250 fine")
        else:
            await self.say("221 bye" if verb == "QUIT" else "250 fine")

    def keep(self, data: bytes) -> None:
        raw = data.removesuffix(b".\r\n")
        message = message_from_bytes(raw, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.server.taken.append(Taken(self.sender, self.to, message, raw, self.tls, self.user))

    async def say(self, *lines: str) -> None:
        self.writer.write("".join(f"{line}\r\n" for line in lines).encode())
        await self.writer.drain()
