"""Letters by SMTP (RFC 5321), over TLS at once (RFC 8314) or after STARTTLS (RFC 3207), in a bounded time."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid, parseaddr
from typing import Literal

import msgspec

from mainstay.model.problem import Unavailable
from mainstay.model.values import Secret
from mainstay.ports.clock import Clock
from mainstay.ports.mail import Letter, Mailer

Security = Literal["tls", "starttls", "none"]


class LetterRefused(ValueError):
    """A letter that cannot be one: a header of it would have more than one line, or its address is none."""


class SmtpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a mail server is reached. ``sender`` is an address, with a name before it in angle brackets or without.

    ``seconds`` bounds one letter as a whole.
    """

    host: str
    port: int
    sender: str
    security: Security = "starttls"
    user: str = ""
    password: Secret[str] = Secret("")
    seconds: float = 20.0
    context: ssl.SSLContext | None = None


class SmtpMailer(Mailer):
    """Hand letters to a mail server, one connection a letter."""

    def __init__(self, options: SmtpOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._sender = _address(*parseaddr(options.sender))

    async def send(self, letter: Letter) -> None:
        message = self._message(letter)
        try:
            async with asyncio.timeout(self._options.seconds):
                await asyncio.to_thread(self._hand_over, message, letter.to)
        except (OSError, smtplib.SMTPException, TimeoutError) as error:
            raise Unavailable("a letter could not be handed to the mail server") from _cause(error)

    def _message(self, letter: Letter) -> EmailMessage:
        """Return the letter as a message. Raises ``LetterRefused`` where a line break would add a header to it."""
        message = EmailMessage(policy=SMTP)
        try:
            message["From"] = self._sender
            message["To"] = _address("", letter.to)
            message["Subject"] = letter.subject
        except ValueError as error:
            raise LetterRefused("the address or the subject of a letter is not one line") from error
        message["Date"] = format_datetime(self._clock.now())
        message["Message-ID"] = make_msgid(domain=self._sender.domain)
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody is to answer it by a machine
        message.set_content(letter.text)
        return message

    def _hand_over(self, message: EmailMessage, to: str) -> None:
        with self._connected() as server:
            if self._options.user:
                server.login(self._options.user, self._options.password.reveal())
            server.send_message(message, from_addr=self._sender.addr_spec, to_addrs=[to])

    def _connected(self) -> smtplib.SMTP:
        options = self._options
        if options.security == "tls":
            return smtplib.SMTP_SSL(options.host, options.port, timeout=options.seconds, context=self._context())
        server = smtplib.SMTP(options.host, options.port, timeout=options.seconds)
        if options.security == "starttls":
            try:
                server.starttls(context=self._context())
            except BaseException:
                server.close()
                raise
        return server

    def _context(self) -> ssl.SSLContext:
        return self._options.context or ssl.create_default_context()


def _address(name: str, text: str) -> Address:
    """Return one address, and never a list of several. Raises ``LetterRefused``."""
    try:
        return Address(display_name=name, addr_spec=text)
    except Exception as error:  # the parser of headers raises whatever it stumbles over
        raise LetterRefused("an address of a letter is none") from error


def _cause(error: BaseException) -> BaseException:
    """Return what went wrong without what the server said of addresses, which belong in no log."""
    if isinstance(error, smtplib.SMTPResponseException):
        return smtplib.SMTPException(f"{type(error).__name__}: code {error.smtp_code}")
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return smtplib.SMTPException("SMTPRecipientsRefused")
    return error
