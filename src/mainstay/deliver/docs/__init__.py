"""The docs pages: Swagger UI 5.35.0 (Apache-2.0), bundled, so that they need no other host; and a page of events."""

from mainstay.deliver.docs.events import events_files
from mainstay.deliver.docs.files import DocsFile
from mainstay.deliver.docs.pages import docs_files

__all__ = ["DocsFile", "docs_files", "events_files"]
