"""Letters on their way: whole, to one address, over TLS, in a bounded time, and never with a header more."""

from __future__ import annotations

import io
import ssl
from pathlib import Path
from typing import Any

import pytest
from certificates import make_pair
from mail_server import MailServer

from mainstay import Letter, Unavailable
from mainstay.adapters.mail.console import ConsoleMailer
from mainstay.adapters.mail.memory import MemoryMailer
from mainstay.adapters.mail.smtp import LetterRefused, SmtpMailer, SmtpOptions
from mainstay.model.values import Secret
from mainstay.testing import FixedClock

LETTER = Letter(to="ann@shop.example", subject="Confirm your address", text="To go on:\n\n    code-1\n.\n")
SENDER = "The Shop <accounts@shop.example>"


def contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the context of a server, and that of a client that trusts it."""
    pair = make_pair(folder)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pair.certificate, pair.key)
    return server, ssl.create_default_context(cafile=str(pair.certificate))


def mailer(server: MailServer, **more: Any) -> SmtpMailer:
    options = {"host": "127.0.0.1", "port": server.port, "sender": SENDER, "security": "none", "seconds": 10.0, **more}
    return SmtpMailer(SmtpOptions(**options), FixedClock())


async def test_a_letter_arrives_as_it_was_written() -> None:
    async with MailServer().serving() as server:
        await mailer(server).send(LETTER)
    taken = server.taken[0]
    assert (taken.sender, taken.to, taken.tls) == ("accounts@shop.example", ["ann@shop.example"], False)
    assert taken.message["To"] == "ann@shop.example"
    assert taken.message["From"] == SENDER
    assert taken.message["Subject"] == LETTER.subject
    assert taken.message["Auto-Submitted"] == "auto-generated"
    assert taken.message["Date"].startswith("Thu, 01 Jan 2026")
    assert taken.message["Message-ID"].endswith("@shop.example>")
    assert b"\r\n..\r\n" in taken.raw  # a line of one dot does not end it
    assert "    code-1" in taken.message.get_content()


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_it_goes_over_tls_with_the_password_inside(tmp_path: Path, security: str) -> None:
    ours, theirs = contexts(tmp_path)
    async with MailServer(ours, at_once=security == "tls").serving() as server:
        how = {"security": security, "context": theirs, "user": "shop", "password": Secret("hidden")}
        await mailer(server, **how).send(LETTER)
    assert (server.taken[0].tls, server.taken[0].user) == (True, "shop")


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_server_that_is_not_trusted_gets_nothing(tmp_path: Path, security: str) -> None:
    ours, _ = contexts(tmp_path)
    async with MailServer(ours, at_once=security == "tls").serving() as server:
        with pytest.raises(Unavailable):
            await mailer(server, security=security).send(LETTER)
    assert server.taken == []


async def test_without_tls_at_the_server_nothing_is_sent() -> None:
    async with MailServer().serving() as server:
        server.refuse["STARTTLS"] = "502 not here"
        with pytest.raises(Unavailable):
            await mailer(server, security="starttls").send(LETTER)
    assert server.taken == []


@pytest.mark.parametrize(
    ("verb", "line"), [("RCPT", "550 no ann@shop.example here"), ("MAIL", "421 later"), ("AUTH", "535 wrong password")]
)
async def test_what_the_server_refuses_is_tried_again_and_tells_no_address(verb: str, line: str) -> None:
    async with MailServer().serving() as server:
        server.refuse[verb] = line
        with pytest.raises(Unavailable) as caught:
            await mailer(server, user="shop", password=Secret("hidden")).send(LETTER)
    told = f"{caught.value.detail} {caught.value.__cause__!r}"
    assert "ann@" not in told
    assert "hidden" not in told


async def test_a_silent_server_is_waited_for_so_long() -> None:
    async with MailServer().serving() as server:
        server.silent = True
        with pytest.raises(Unavailable):
            await mailer(server, seconds=0.2).send(LETTER)


async def test_a_server_that_is_not_there() -> None:
    async with MailServer().serving() as server:
        pass
    with pytest.raises(Unavailable):
        await mailer(server).send(LETTER)


@pytest.mark.parametrize(
    "changed",
    [
        {"subject": "Hello\r\nBcc: eve@evil.example"},
        {"subject": "Hello\nBcc: eve@evil.example"},
        {"to": "ann@shop.example\r\nBcc: eve@evil.example"},
        {"to": "ann@shop.example, eve@evil.example"},
        {"to": "Ann <ann@shop.example>"},
        {"to": "no address"},
        {"to": ""},
        {"to": "ann@shop.example>\r\nRCPT TO:<eve@evil.example"},
    ],
    ids=str,
)
async def test_no_header_and_no_recipient_is_added(changed: dict[str, str]) -> None:
    letter = Letter(**{"to": LETTER.to, "subject": LETTER.subject, "text": LETTER.text, **changed})
    async with MailServer().serving() as server:
        with pytest.raises(LetterRefused):
            await mailer(server).send(letter)
    assert server.taken == []


async def test_a_text_cannot_end_the_letter_or_begin_another_part() -> None:
    text = "a\r\n.\r\nMAIL FROM:<eve@evil.example>\r\n--boundary\r\nContent-Type: text/html\r\n\r\n<b>hi</b>\r\n"
    async with MailServer().serving() as server:
        await mailer(server).send(Letter(to=LETTER.to, subject="s", text=text))
    assert len(server.taken) == 1
    assert server.taken[0].message.get_content_type() == "text/plain"
    assert server.taken[0].sender == "accounts@shop.example"


@pytest.mark.parametrize("sender", ["", "no address", "a@b@c"])
def test_a_sender_that_is_no_address_is_refused_at_the_start(sender: str) -> None:
    with pytest.raises(LetterRefused):
        SmtpMailer(SmtpOptions(host="h", port=25, sender=sender), FixedClock())


async def test_a_developer_reads_the_code_on_the_terminal() -> None:
    out = io.StringIO()
    await ConsoleMailer(out).send(LETTER)
    assert "ann@shop.example" in out.getvalue()
    assert "    code-1" in out.getvalue()


async def test_a_terminal_obeys_no_letter() -> None:
    out = io.StringIO()
    await ConsoleMailer(out).send(Letter(to="ann@shop.example", subject="\x1b[2Jgone\nnew line", text="t"))
    assert "\x1b" not in out.getvalue()
    assert "gone?new line" in out.getvalue()


async def test_without_a_place_of_its_own_it_is_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    await ConsoleMailer().send(LETTER)
    seen = capsys.readouterr()
    assert seen.out == ""
    assert "code-1" in seen.err


async def test_letters_in_memory() -> None:
    kept = MemoryMailer()
    await kept.send(LETTER)
    assert kept.to("ann@shop.example") == [LETTER]
    assert kept.to("bob@shop.example") == []
    kept.away = True
    with pytest.raises(Unavailable):
        await kept.send(LETTER)
    assert "code-1" not in repr(LETTER)
    assert "ann@" not in repr(LETTER)
