"""Value types beyond Python's own: secrets, addresses, and what JSON and every store agree on.

``int`` is 64-bit; ``Decimal`` is exact and finite; a ``datetime`` has a zone; U+0000 and lone surrogates are refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import msgspec

T = TypeVar("T")

INT_MIN = -(2**63)
INT_MAX = 2**63 - 1

UNASSIGNED = UUID(int=0)
"""The id of a row that no repository has added yet, and the key of a parent that is added in the same call."""


class Format(msgspec.Struct, frozen=True):
    """A marker in ``Annotated``: the JSON Schema format of a string."""

    name: str


# RFC 5321 lengths, RFC 5322 dot-atom, RFC 1035 labels. The quantifiers never overlap, so that matching is linear.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
EMAIL_PATTERN = rf"^(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+\Z"
URL_PATTERN = (
    r"^https?://(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._~-]{1,253})(?::[0-9]{1,5})?(?:[/?#][!#-;=?-Z_a-z~%\[\]]*)?\Z"
)

Email = Annotated[str, msgspec.Meta(min_length=3, max_length=254, pattern=EMAIL_PATTERN), Format("email")]
"""An e-mail address (RFC 5321): a dot-atom local part and a domain with at least one dot."""

Url = Annotated[str, msgspec.Meta(min_length=8, max_length=2083, pattern=URL_PATTERN), Format("uri")]
"""An absolute http or https URL (RFC 3986), without user information."""


class Secret(Generic[T]):
    """A value that shows itself only to who asks by ``reveal()``: never in a log, an error, a repr or an answer."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and bool(self._value == other._value)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a Secret cannot be pickled or copied out: reveal() it where it is used")
