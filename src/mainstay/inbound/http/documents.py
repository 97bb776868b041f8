"""Documents: bytes that are served as they are, with a validator, packed once for each coding that is asked for; and
pages, which are made anew for each request.
"""

from __future__ import annotations

import zlib

from mainstay.inbound.http.codings import PREFERRED, Coding
from mainstay.inbound.http.compress import VARY, Headers, Packing
from mainstay.inbound.http.conditional import coded, known_tag
from mainstay.inbound.http.encode import Answers
from mainstay.inbound.http.exchange import Answer, Exchange
from mainstay.inbound.http.fields import line
from mainstay.inbound.http.security import without
from mainstay.inbound.http.targets import Document
from mainstay.model.problem import NotAcceptable

_GZIP = 31
_SAID = frozenset({"content-encoding", "vary"})


class Form:
    """A document in one coding, as an answer needs it: its validator, what says the coding, its bytes."""

    __slots__ = ("body", "line", "tag")

    def __init__(self, tag: str, line: bytes, body: bytes) -> None:
        self.tag = tag
        self.line = line
        self.body = body


class Forms:
    """A document in the codings that it is asked for in. One that comes packed (gzip) is unpacked where it must be."""

    def __init__(self, document: Document, packing: Packing) -> None:
        given = {name.lower(): value for name, value in document.headers}
        self.headers = tuple(one for one in document.headers if one[0].lower() not in _SAID)
        self._tag = document.etag
        self._packing = packing
        self._made: dict[str, Form] = {}
        self._plain: Form | None = None
        self._packed = given.get("content-encoding") == "gzip"
        if self._packed:
            self._made["gzip"] = Form(coded(document.etag, "gzip"), b"Content-Encoding: gzip\r\n", document.body)
        else:
            self._plain = Form(document.etag, b"", document.body)
        large = len(document.body) >= packing.least
        self._fits = self._packed or (large and packing.fits(document.media_type))
        self.vary = VARY if self._fits else b""

    def of(self, headers: Headers) -> Form:
        """Return the form that a request is answered with. Raises ``NotAcceptable`` where it takes none."""
        if not self._fits:
            return self.plain()
        field = headers.get(b"accept-encoding")
        if field is None and self._packed:
            return self._made["gzip"]  # without the field any coding may be sent
        wanted = self._packing.wanted(headers)
        for coding in wanted.codings:
            if not self._packed or coding.name == "gzip":
                return self._form(coding)
        if not wanted.plain:
            raise NotAcceptable(f"this is given in the codings {', '.join(PREFERRED)} and as it is")
        return self.plain()

    def plain(self) -> Form:
        """Return the document as it is."""
        if self._plain is None:
            self._plain = Form(self._tag, b"", zlib.decompress(self._made["gzip"].body, _GZIP))
        return self._plain

    def _form(self, coding: Coding) -> Form:
        made = self._made.get(coding.name)
        if made is None:
            body = coding.pack_well(self.plain().body)
            made = self._made[coding.name] = Form(coded(self._tag, coding.name), coding.line, body)
        return made

    def known(self, form: Form, headers: Headers) -> bool:
        """Whether the client has this form already. Raises ``HeaderMalformed``."""
        field = headers.get(b"if-none-match")
        return field is not None and known_tag(field.decode("latin-1"), [form.tag]) is not None


class Shelf:
    """Answers with documents, and with pages that were made anew."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._packing = answers.packing
        self._forms: dict[Document, Forms] = {}

    def document(self, exchange: Exchange, document: Document) -> Answer:
        """Return the answer of a document. Raises the Problem of a request that cannot be met."""
        document = document.at(exchange.root)
        forms = self._forms.get(document)
        if forms is None:
            forms = self._forms[document] = Forms(document, self._packing)
        form = forms.of(exchange.headers)
        exchange.common = without(exchange.common, (name for name, _ in forms.headers))
        head = f"ETag: {form.tag}\r\nCache-Control: no-cache\r\n".encode() + forms.vary
        head += self._answers.trailer(exchange)
        if forms.known(form, exchange.headers):
            return Answer(304, head)
        extra = b"".join(line(name, value) for name, value in forms.headers)
        return Answer(200, line("Content-Type", document.media_type) + form.line + extra + head, form.body)

    def page(self, exchange: Exchange, status: int, media: str, body: bytes) -> Answer:
        """Return the answer of a page: metrics are large, and asked for by who takes them packed."""
        head = line("Content-Type", media) + b"Cache-Control: no-store\r\n"
        if len(body) >= self._packing.least and self._packing.fits(media):
            head += VARY
            wanted = self._packing.wanted(exchange.headers)
            if wanted.codings:
                coding = wanted.codings[0]
                head, body = head + coding.line, coding.pack(body)
        return Answer(status, head + self._answers.trailer(exchange), body)
