"""The documents of a service, as bytes for the doors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from types import ModuleType

import msgspec

from mainstay.adapters.sql.sqlite import errors as store_problems
from mainstay.app.served import served
from mainstay.deliver.asyncapi import asyncapi
from mainstay.deliver.docs import docs_files, events_files
from mainstay.deliver.openapi import openapi
from mainstay.inbound.http import decompress, formats, multipart, spool
from mainstay.inbound.http import problems as door_problems
from mainstay.inbound.http.formats import MSGPACK
from mainstay.inbound.http.problems import STATUS
from mainstay.inbound.http.targets import Document
from mainstay.inbound.http.versions import shown_of
from mainstay.kernel import stages
from mainstay.kernel.bind import Bound
from mainstay.kernel.bound import BoundOperation
from mainstay.kernel.guard import once, signed
from mainstay.kernel.validate import problems as input_problems
from mainstay.model.problem import CommitUnknown, Kind, NotCommitted, Problem
from mainstay.model.service import Service
from mainstay.ports import cursor, relations
from mainstay.ports import refused_tokens as token_problems
from mainstay.ports.tokens import CrossSiteRefused

_SOURCES: tuple[ModuleType, ...] = (
    door_problems,
    multipart,
    spool,
    decompress,
    formats,
    input_problems,
    token_problems,
    store_problems,
    stages,
    once,
    signed,
    cursor,
    relations,
)
CONTRACT = "/openapi.json"
EVENTS = "/asyncapi.json"
_ROOTS = 8  # paths that a service is mounted at, of which the contract is remembered
_OPEN = frozenset(
    {
        Kind.MALFORMED,
        Kind.UNAUTHENTICATED,
        Kind.UNAVAILABLE,
        Kind.TOO_LARGE,
        Kind.TIMED_OUT_READING,
        Kind.URI_TOO_LONG,
        Kind.HEADERS_TOO_LARGE,
    }
)
"""Kinds that any operation may meet before its use case runs, or below it: their codes are those of all sources."""


def documents_of(
    bound: Bound, *, msgpack: bool = True, session: str = "", late: bool = False, broker: str = ""
) -> Mapping[str, Document]:
    """Return the documents by their path: the contract, one for each version of the service, and its pages.

    ``/openapi.json`` is that of the newest version. ``msgpack`` says whether the door takes and gives it beside JSON,
    ``session`` in which cookie it keeps sessions, if it does; ``late`` that contracts are made when they are asked for.
    ``broker`` is the URL that events go by.
    """
    documents: dict[str, Document] = {}
    operations, versions = served(bound), bound.service.versions
    spellings = MSGPACK[:1] if msgpack else ()
    if not versions:
        documents[CONTRACT] = _contract(bound, operations, "", spellings, session, late=late)
    live = [(place, version) for place, version in enumerate(versions) if not version.ended]
    for place, version in live:
        shown = shown_of(operations, versions, place)
        made = _contract(bound, shown, version.prefix.removeprefix("/"), spellings, session, late=late)
        documents[version.prefix + CONTRACT] = documents[CONTRACT] = made
    documents[EVENTS] = _document(asyncapi(bound.blueprint, broker=broker), "application/json", ())
    pages = events_files(bound.blueprint)
    editions = [version.prefix.removeprefix("/") for _, version in live]
    for file in (*docs_files(bound.service.title, editions, events=bool(pages)), *pages):
        documents[file.path] = _document(file.body, file.media_type, file.headers)
    return documents


def _contract(
    bound: Bound,
    operations: list[BoundOperation],
    edition: str,
    spellings: Sequence[str],
    session: str,
    *,
    late: bool,
) -> Document:
    shown = msgspec.structs.replace(bound, operations=operations)

    def made(root: str) -> Document:
        servers = (root,) if root else ()
        codes = _codes(bound.service)
        body = openapi(
            shown, STATUS, codes=codes, servers=servers, edition=edition, spellings=spellings, session=session
        )
        return _document(body, "application/json", ())

    first = Document(body=b"", media_type="application/json", etag="") if late else made("")
    return msgspec.structs.replace(first, rooted=lru_cache(_ROOTS)(made))


def _codes(service: Service) -> Mapping[Kind, Sequence[str]]:
    """Return the codes that doors and adapters answer with, by kind, in a stable order."""
    found: dict[Kind, set[str]] = {Kind.UNAVAILABLE: {NotCommitted.code, CommitUnknown.code}}
    if service.identity is not None:
        found[Kind.FORBIDDEN] = {CrossSiteRefused.code}
    for source in (*_SOURCES, *_of_sessions(service)):
        for value in vars(source).values():
            if isinstance(value, type) and issubclass(value, Problem) and value.kind in _OPEN:
                found.setdefault(value.kind, set()).add(value.code)
    return {kind: sorted(codes) for kind, codes in found.items()}


def _of_sessions(service: Service) -> tuple[ModuleType, ...]:
    """Return where the problems of sessions are, for a service that has them."""
    if service.identity is None:
        return ()
    from mainstay.identity.sessions import problems
    from mainstay.ports import epochs

    return problems, epochs


def _document(body: bytes, media_type: str, headers: tuple[tuple[str, str], ...]) -> Document:
    etag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    return Document(body=body, media_type=media_type, etag=etag, headers=headers)
