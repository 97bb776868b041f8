"""A server that speaks the part of Vault's HTTP API that a service asks: tokens, log-ins, key-value engines, leases.

It stands at the edge of the wire, after Vault's API documentation (1.18): hvac and its requests are the real ones.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class VaultDouble:
    """What the server holds and was asked. Paths of documents are those of references: ``kv/shop``."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, dict[str, Any]] = {"root": {"renewable": False, "ttl": 0}}
        self.roles: dict[str, str] = {}  # the role's id, or name, and what it is proven by
        self.token_seconds = 3600
        self.asked: list[str] = []
        self.namespaces: set[str] = set()
        self.sealed = False
        self.redirect = ""
        self.garbage = False
        self.lent = 0
        self.port = 0

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"http://127.0.0.1:{self.port}"

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: Mapping[str, Any]) -> tuple[int, Any]:
        """Return the status and the document of an answer."""
        self.asked.append(f"{method} {path}")
        self.namespaces.add(headers.get("X-Vault-Namespace", ""))
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if path.startswith("auth/") and path.endswith("/login"):
            return self._log_in(body)
        token = self.tokens.get(headers.get("X-Vault-Token", ""))
        if token is None:
            return 403, {"errors": ["permission denied"]}
        if path == "auth/token/lookup-self":
            return 200, {"data": token}
        if path == "auth/token/renew-self":
            return 200, {"auth": {"client_token": "", "lease_duration": self.token_seconds}}
        if path.startswith("sys/internal/ui/mounts/"):
            return self._mount(path.removeprefix("sys/internal/ui/mounts/"))
        return self._document(path)

    def _log_in(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        role = str(body.get("role_id") or body.get("role"))
        proof = body.get("secret_id") or body.get("jwt")
        if self.roles.get(role) != proof:
            return 400, {"errors": ["invalid role or secret ID"]}
        token = secrets.token_hex(8)
        self.tokens[token] = {"renewable": True, "ttl": self.token_seconds}
        return 200, {"auth": {"client_token": token, "lease_duration": self.token_seconds, "renewable": True}}

    def _mount(self, path: str) -> tuple[int, Any]:
        engine = path.partition("/")[0]
        kinds: dict[str, Any] = {
            "kv": {"type": "kv", "options": {"version": "2"}},
            "old": {"type": "kv", "options": {"version": "1"}},
            "plain": {"type": "kv", "options": None},
            "database": {"type": "database", "options": None},
        }
        if engine not in kinds:
            return 403, {"errors": ["preflight capability check returned 403"]}
        return 200, {"data": {"path": f"{engine}/", **kinds[engine]}}

    def _document(self, path: str) -> tuple[int, Any]:
        engine, _, rest = path.partition("/")
        if engine == "database":
            self.lent += 1
            data = {"username": f"u{self.lent}", "password": f"p{self.lent}"}
            return 200, {"lease_id": f"database/{self.lent}", "lease_duration": 60, "data": data}
        if engine == "kv":
            rest = rest.removeprefix("data/")
        document = self.documents.get(f"{engine}/{rest}")
        if document is None:
            return 404, {"errors": []}
        if engine == "kv":
            deleted = document.get("deleted")
            return 200, {
                "lease_duration": 0,
                "data": {"data": None if deleted else document, "metadata": {"version": 3}},
            }
        return 200, {"lease_duration": 2764800, "data": document}


def _handler(double: VaultDouble) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            path = self.path.removeprefix("/v1/").partition("?")[0]
            status, document = double.answer(self.command, path, dict(self.headers.items()), body)
            data = b"<html>" if double.garbage else json.dumps(document).encode()
            self.send_response(307 if double.redirect else status)
            if double.redirect:
                self.send_header("Location", double.redirect + self.path)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = _answer

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def vault_double() -> Iterator[VaultDouble]:
    """Serve a double on a free port of loopback until the block ends."""
    double = VaultDouble()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(double))
    server.daemon_threads = True
    double.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
