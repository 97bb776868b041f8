"""The files of the docs pages: a page of ours, and Swagger UI's script and style as its authors ship them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mainstay.deliver.docs.files import DocsFile, escaped

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
{choice}{events}<div id="docs"></div>
<noscript>The contract of this service is at <a href="openapi.json">openapi.json</a>.</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_CHOICE: Final = """<p style="margin: 1em auto; max-width: 1420px; padding: 0 20px; font-family: sans-serif">
<label>Version <select id="version">{options}</select></label></p>
"""
_EVENTS: Final = """<p><a href="docs/events">Events</a></p>
"""
_START: Final = """function show(contract) {
  window.ui = SwaggerUIBundle({
    url: new URL(contract, document.baseURI).href,
    dom_id: "#docs",
    deepLinking: true,
    displayRequestDuration: true,
    persistAuthorization: false,
    validatorUrl: null,
  });
}
const version = document.getElementById("version");
if (version === null) {
  show("openapi.json");
} else {
  version.addEventListener("change", () => show(version.value));
  show(version.value);
}
"""


def docs_files(title: str, versions: Sequence[str] = (), *, events: bool = False) -> list[DocsFile]:
    """Return the files of the docs pages of a service; they show the document at ``/openapi.json``.

    Of a service with ``versions`` (``v1``, the newest last) they show that of the newest, and let the reader choose.
    With ``events`` they lead to the page of these.

    Script and style are kept and served compressed (gzip), as every browser takes them.
    """
    packed = (("content-encoding", "gzip"), ("vary", "accept-encoding"))
    options = "".join(f'<option value="{v}/openapi.json">{v}</option>' for v in reversed(versions))
    choice = _CHOICE.format(options=options) if versions else ""
    page = _PAGE.format(title=escaped(f"{title}: API"), choice=choice, events=_EVENTS if events else "")
    return [
        DocsFile("/docs", page.encode(), "text/html; charset=utf-8", (("content-security-policy", _POLICY),)),
        DocsFile("/docs/start.js", _START.encode(), "text/javascript; charset=utf-8"),
        DocsFile(
            "/docs/swagger-ui-bundle.js", _static("swagger-ui-bundle.js"), "text/javascript; charset=utf-8", packed
        ),
        DocsFile("/docs/swagger-ui.css", _static("swagger-ui.css"), "text/css; charset=utf-8", packed),
    ]


def _static(name: str) -> bytes:
    return (Path(__file__).parent / "static" / f"{name}.gz").read_bytes()
