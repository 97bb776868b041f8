"""Letters in memory: what a test looks into."""

from __future__ import annotations

from mainstay.model.problem import Unavailable
from mainstay.ports.mail import Letter, Mailer


class MemoryMailer(Mailer):
    """Keeps what is sent, in order. While ``away`` is set it takes nothing, as a mail server that cannot be reached."""

    def __init__(self) -> None:
        self.sent: list[Letter] = []
        self.away: bool = False

    async def send(self, letter: Letter) -> None:
        if self.away:
            raise Unavailable("letters cannot be sent now")
        self.sent.append(letter)

    def to(self, address: str) -> list[Letter]:
        """Return the letters to an address, in order."""
        return [letter for letter in self.sent if letter.to == address]
