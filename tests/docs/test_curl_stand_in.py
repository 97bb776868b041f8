"""The stand-in for curl sends what it is told and answers as curl does."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import curl
import pytest


class Echo(http.server.BaseHTTPRequestHandler):
    """Repeats the request; /missing is not there."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.send_response(404 if self.path == "/missing" else 201)
        self.end_headers()
        self.wfile.write(f"{self.command} {self.headers.get('X-A')} {self.headers.get('Content-Type')} {body}".encode())

    do_GET = do_PATCH = do_POST

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["-s", "{}/"], "GET None None "),
        (["-X", "PATCH", "-H", "X-A: b", "--json", "{{}}", "{}/"], "PATCH b application/json {}"),
        (["-d", "x", "{}/"], "POST None application/x-www-form-urlencoded x"),
        (["{}/missing"], "GET None None "),
    ],
)
def test_requests_are_sent_as_told(
    url: str, arguments: list[str], printed: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert curl.main([argument.format(url) for argument in arguments]) == 0
    assert capfdbinary.readouterr().out.decode() == printed


def test_a_bad_status_fails_where_asked(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert curl.main(["-f", f"{url}/missing"]) == 22
    assert capfd.readouterr().out == ""


def test_the_head_is_shown_where_asked(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    curl.main(["-i", f"{url}/"])
    assert capfd.readouterr().out.startswith("HTTP/1.1 201 Created\n")
