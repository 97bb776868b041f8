"""What a team has said of its accounts, for the use cases here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec


class AccountRules(msgspec.Struct, frozen=True, kw_only=True):
    """The part of ``Identity`` that is about accounts, with the service's own name. Times are in seconds."""

    service: str
    verify_email: bool = True
    default_roles: Sequence[str] = ()
    second_factor: Literal["optional", "required"] = "optional"
    verify_link: str = ""
    reset_link: str = ""
    verify_seconds: int = 86_400
    reset_seconds: int = 3_600
    challenge_seconds: int = 300
