"""The docs pages: Swagger UI 5.35.0 (Apache-2.0), bundled, so that they need no other host."""

from mainstay.deliver.docs.pages import DocsFile, docs_files

__all__ = ["DocsFile", "docs_files"]
