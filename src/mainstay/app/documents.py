"""The documents of a service, as bytes for the doors."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

from mainstay.deliver.docs import docs_files
from mainstay.deliver.openapi import openapi
from mainstay.inbound.http.problems import STATUS
from mainstay.inbound.http.targets import Document
from mainstay.kernel.bind import Bound


def documents_of(bound: Bound) -> Mapping[str, Document]:
    """Return the documents by their path: the contract and the pages that show it."""
    contract = openapi(bound, STATUS)
    documents = {"/openapi.json": _document(contract, "application/json", ())}
    for file in docs_files(bound.service.title):
        documents[file.path] = _document(file.body, file.media_type, file.headers)
    return documents


def _document(body: bytes, media_type: str, headers: tuple[tuple[str, str], ...]) -> Document:
    etag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    return Document(body=body, media_type=media_type, etag=etag, headers=headers)
