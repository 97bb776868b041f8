"""The calls that cause events: ``python -m bench.events.load PORT COUNT`` or ``PORT COUNT RATE``; JSON out.

So many calls succeed, over 64 connections: each as soon as one is free, or at moments with ``RATE`` a second on
average. One that is refused is sent again, and told.
"""

from __future__ import annotations

import json
import sys

from bench.openloop import SKU_LENGTH, Run, schedule

PATIENCE = 180.0
_BODY = '{"sku":"{sku}","customer_id":"0199c0de-0000-7000-8000-000000000001","quantity":3,"total":"12.50"}'
_LENGTH = len(_BODY) - len("{sku}") + SKU_LENGTH
_HEAD = ("POST /orders HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", f"Content-Length: {_LENGTH}")
REQUEST = "\r\n".join([*_HEAD, "", _BODY]).encode()


def main(port: int, count: int, rate: float = 0.0) -> int:
    """Send and print."""
    refused = 0
    with Run(port, REQUEST, patience=PATIENCE) as run:
        moments = schedule(rate, 2 * count / rate)[:count] if rate else [0.0] * count
        run.go(moments)
        while run.failures and refused <= count:
            again, run.failures = run.failures, 0
            refused += again
            run.go([0.0] * again)
    print(json.dumps({"refused": refused, "lost": run.failures}))
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:4])))
