"""A server with DynamoDB's interface for the tests: moto, in memory.

dynamo_server.py run PORT      become the server
dynamo_server.py ready PORT    exit with 0 once it answers

It takes one request at a time: moto undoes a cancelled transaction by putting back a copy of all tables, which would
undo what others wrote meanwhile. So it shows what requests mean, and nothing of how the service treats two at once.
"""

from __future__ import annotations

import logging
import sys
import threading
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any


def run(port: str) -> None:
    """Become the server."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request says nothing
    run_simple("127.0.0.1", int(port), one_at_a_time(DomainDispatcherApplication(create_backend_app)), threaded=True)


def one_at_a_time(application: Callable[..., Any]) -> Callable[..., Any]:
    """Return the application for one request at a time, whose connections stay open meanwhile."""
    turn = threading.Lock()

    def answer(environ: Any, start_response: Any) -> list[bytes]:
        with turn:
            return list(application(environ, start_response))

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
