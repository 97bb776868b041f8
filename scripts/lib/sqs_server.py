"""A server with the interfaces of SNS and SQS for the tests: moto, in memory.

sqs_server.py run PORT      become the server
sqs_server.py ready PORT    exit with 0 once it answers

What it holds ends with it: it shows that messages are handed out again, and nothing of how they are kept. It takes one
request at a time, as moto hands one message to two that ask at once; a long poll is made of short ones.
"""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

PAUSE = 0.02  # seconds between the short polls of a long one


def run(port: str) -> None:
    """Become the server."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request says nothing
    run_simple("127.0.0.1", int(port), one_at_a_time(DomainDispatcherApplication(create_backend_app)), threaded=True)


def one_at_a_time(application: Callable[..., Any]) -> Callable[..., Any]:
    """Return the application for one request at a time, in which who waits for messages holds up nobody."""
    turn = threading.Lock()

    def answer(environ: Any, start_response: Any) -> list[bytes]:
        if environ.get("HTTP_X_AMZ_TARGET") != "AmazonSQS.ReceiveMessage":
            with turn:
                return list(application(environ, start_response))
        asked = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        until = time.monotonic() + asked.pop("WaitTimeSeconds", 0)
        body = json.dumps({**asked, "WaitTimeSeconds": 0}).encode()
        while True:
            told: list[Any] = []
            again = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
            with turn:
                parts = list(application(again, lambda *head, told=told: told.append(head)))
            if b'"Messages"' in b"".join(parts) or time.monotonic() >= until or not told[0][0].startswith("200"):
                start_response(*told[0])
                return parts
            time.sleep(PAUSE)

    return answer


def ready(port: str) -> bool:
    """Say whether the server answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/data.json", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def main(words: Sequence[str]) -> int:
    """Do what the words say."""
    if len(words) == 2 and words[0] == "run":
        run(words[1])
        return 0
    if len(words) == 2 and words[0] == "ready":
        return 0 if ready(words[1]) else 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
