"""A service with accounts, and notes that its people keep. It is copied into a folder of its own and served there."""

from __future__ import annotations

from mainstay import Entity, Identity, Mailer, Module, Service, authenticated, field
from mainstay.ports.mail import Letter

notes = Module("notes")


class Note(Entity):
    text: str = field(max_length=200)


notes.resource(Note, path="/notes", read=authenticated, create=authenticated)


class NoLetters(Mailer):
    """Sends nothing: no address is confirmed here, and there is no mail server."""

    async def send(self, letter: Letter) -> None:
        """Forget the letter."""


service = Service("members", modules=[notes], identity=Identity(verify_email=False, access_seconds=3600))
service.provide(Mailer, NoLetters)
