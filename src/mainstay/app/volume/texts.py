"""Texts that look like what a field's name says: names, addresses, sentences. Mimesis makes them (extra ``seed``).

A pool of each kind is made once and drawn from: so it costs little whichever library makes it. Addresses lead nowhere:
``example.com`` (RFC 2606), and numbers of the block that North America keeps for stories (555-0100 to 555-0199).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mainstay.app.refusal import Refusal

POOL = 2000
"""So many different texts of a kind are drawn from."""

_KINDS: Sequence[tuple[str, str]] = (
    (r"e_?mail", "email"),
    (r"(first|given)_?name|forename", "first_name"),
    (r"(last|family)_?name|surname", "last_name"),
    (r"user_?name|login|nick(name)?|handle", "username"),
    (r"company|organi[sz]ation|employer|vendor|supplier|brand|manufacturer", "company"),
    (r"country_?code", "country_code"),
    (r"country", "country"),
    (r"city|town", "city"),
    (r"state|region|province", "state"),
    (r"zip|post(al)?_?code", "postal_code"),
    (r"street|address", "address"),
    (r"phone|mobile|fax|tel", "phone"),
    (r"url|website|homepage|link", "url"),
    (r"colou?r", "colour"),
    (r"currency", "currency"),
    (r"locale|lang(uage)?", "locale"),
    (r"ip", "ip"),
    (r"slug", "slug"),
    (r"sku|code|number|reference|serial", "code"),
    (r"password|hash|token|digest|key", "hex"),
    (r"description|text|body|content|comment|notes?|bio|summary|message|review|reason", "paragraph"),
    (r"title|subject|headline|caption", "title"),
    (r"name|label", "name"),
)
_LETTERS = "ABCDEFGHKLMNPRSTUVWXY"
_PEOPLE = re.compile(r"person|people|user|customer|client|author|employee|member|contact|owner|buyer|seller|patient")


def kind_of(field: str, entity: str, form: str | None) -> str:
    """Return what kind of text a field holds, by its format and its name; ``word`` where neither says it."""
    if form in ("email", "uri"):
        return "url" if form == "uri" else "email"
    for pattern, kind in _KINDS:
        if re.search(rf"(^|_)({pattern})($|_)", field):
            if kind == "name":
                return "person" if _PEOPLE.search(entity.lower()) or _PEOPLE.search(field) else "thing"
            return kind
    return "word"


class Texts:
    """Pools of texts; the same for the same seed. Raises ``Refusal`` where Mimesis is not installed."""

    def __init__(self, seed: int) -> None:
        try:
            from mimesis import Generic, Locale
        except ModuleNotFoundError as error:
            what = "rows are made up with mimesis, which is not installed"
            raise Refusal(what, "pip install 'mainstay[seed]'") from error
        self._made: Callable[[str], Any] = lambda kind: Generic(locale=Locale.EN, seed=f"{seed}/{kind}")
        self._pools: dict[str, Sequence[str]] = {}

    def pool(self, kind: str) -> Sequence[str]:
        """Return texts of a kind."""
        if kind not in self._pools:
            make = _makers(self._made(kind))[kind]
            self._pools[kind] = tuple(make() for _ in range(POOL))
        return self._pools[kind]


def _makers(made: Any) -> Mapping[str, Callable[[], str]]:
    person, address, text = made.person, made.address, made.text
    choose = made.random.choice

    def words() -> str:
        return f"{text.color()} {text.word()}".lower()

    return {
        "email": lambda: person.email(domains=["example.com", "example.org", "example.net"]),
        "first_name": person.first_name,
        "last_name": person.last_name,
        "username": person.username,
        "person": person.full_name,
        "thing": lambda: words().capitalize(),
        "company": made.finance.company,
        "country_code": address.country_code,
        "country": address.country,
        "city": address.city,
        "state": address.state,
        "postal_code": address.postal_code,
        "address": address.address,
        "phone": lambda: f"+1{choose(range(201, 990))}55501{choose(range(100)):02}",
        "url": lambda: f"https://example.com/{words().replace(' ', '-')}",
        "colour": text.color,
        "currency": made.finance.currency_iso_code,
        "locale": lambda: choose(["en", "de", "fr", "es", "pt", "it", "ja", "zh"]),
        "ip": lambda: f"192.0.2.{choose(range(1, 255))}",  # RFC 5737
        "slug": lambda: words().replace(" ", "-"),
        "code": lambda: f"{choose(_LETTERS)}{choose(_LETTERS)}-{choose(range(10000, 99999))}",
        "hex": lambda: f"{made.random.getrandbits(128):032x}",
        "paragraph": lambda: text.text(quantity=choose([1, 1, 2, 3])),
        "title": lambda: text.sentence().rstrip("."),
        "word": lambda: text.word().lower(),
    }
