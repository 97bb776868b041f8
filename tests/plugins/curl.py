"""Stands in for curl where a machine has none: the few options that the documentation shows.

-s, -S, -f, -i, -X METHOD, -H "Name: value", -d BODY, --json BODY, one URL. Exit code 22 is that of -f for a bad status.
"""

from __future__ import annotations

import argparse
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence

HTTP_PAGE_NOT_RETRIEVED = 22


def main(arguments: Sequence[str]) -> int:
    """Do one request and print its answer."""
    parser = argparse.ArgumentParser("curl", allow_abbrev=False)
    for flag in ("-s", "-S", "-f", "-i"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("-X", "--request")
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument("-d", "--data")
    parser.add_argument("--json")
    parser.add_argument("url")
    wanted = parser.parse_args(arguments)
    body = wanted.data if wanted.json is None else wanted.json
    request = urllib.request.Request(wanted.url, None if body is None else body.encode(), method=wanted.request)
    if wanted.json is not None:
        request.add_header("Content-Type", "application/json")
        request.add_header("Accept", "application/json")
    for header in wanted.header:
        name, _, value = header.partition(":")
        request.add_header(name, value.strip())
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as refusal:
        if wanted.f:
            return HTTP_PAGE_NOT_RETRIEVED
        answer = refusal
    with answer:
        if wanted.i:
            print(f"HTTP/1.1 {answer.status} {answer.reason}\n{answer.headers}", end="", flush=True)
        sys.stdout.buffer.write(answer.read())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
