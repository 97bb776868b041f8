"""What identity costs a call: the chain (W3) with a service's own accounts, against the same without, in turns.

``scripts/bench --identity`` runs ours three times side by side: without identity and with a token of another issuer;
with identity and that token; with identity and an access token of its own. At most a tenth may be lost.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from bench.install import HERE
from bench.measure import Sample, Server, load
from bench.peers import TOOL, production
from bench.processes import free_port
from bench.stores import Store
from bench.workloads import WORKLOADS, lua, tokens

BOUND = 0.9  # of the rate without identity
CHAIN = next(one for one in WORKLOADS if one.name == "W3")
WITHOUT, WITH, OWN = "without identity", "with identity", "with identity, own token"
PASSWORD = "seven grey herons wade"
EMAIL = "manager@bench.example"


def main(store: Store, work: Path, rounds: int, seconds: float) -> int:
    """Measure and print; 0 where the bound is kept, 1 where it is missed."""
    with ExitStack() as stack:
        bare, identified = _server("bare", store, work, {}), _server("identified", store, work, _IDENTITY)
        for server in (bare, identified):
            stack.callback(server.stop)
            server.start()
        held = tokens()["manager"]
        turns = ((WITHOUT, bare, held), (WITH, identified, held), (OWN, identified, _own_token(identified)))
        found: dict[str, list[Sample]] = {name: [] for name, _, _ in turns}
        for number in range(rounds + 1):  # the first warms up
            for name, server, token in turns:
                sample = load(server, lua(CHAIN, CHAIN.path, token), seconds)
                if sample.failures:
                    raise RuntimeError(f"{name}: {sample.failures} failed")
                if number:
                    found[name].append(sample)
    return _tell(found)


def _tell(found: dict[str, list[Sample]]) -> int:
    base, kept = found[WITHOUT], True
    for name, samples in found.items():
        shares = [one.rate / other.rate for one, other in zip(samples, base, strict=True)]
        costs = [one.cpu / other.cpu for one, other in zip(samples, base, strict=True)]
        share = statistics.median(shares)
        kept = kept and share >= BOUND
        print(
            f"{name:28}{statistics.median(one.rate for one in samples):10,.0f} requests/s"
            f"{share:8.3f} ({min(shares):.3f} to {max(shares):.3f}) of the rate,"
            f"{statistics.median(costs):7.3f} of the processor time a request"
        )
    print(f"at most a tenth may be lost: {'kept' if kept else 'MISSED'}")
    return int(not kept)


_IDENTITY = {
    "MAINSTAY_SERVICE": "with_identity:service",
    "MAINSTAY_MAIL_HOST": "127.0.0.1",  # no letter is sent
    "MAINSTAY_MAIL_SENDER": "bench@bench.example",
}


def _server(name: str, store: Store, work: Path, more: dict[str, str]) -> Server:
    folder = work / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE / "apps" / "ours", folder)
    port, admin = free_port(), free_port()
    data = store.data(name)
    environment = {**production(folder, data, port, admin), **more}
    for verb in ("plan", "migrate"):
        subprocess.run([TOOL, "db", verb], cwd=folder, env={**os.environ, **environment}, check=True, stdout=2)
    if more:
        _make_manager(folder, environment)
    return Server(name, [TOOL, "run"], folder, environment, port, data, "bench_item", work)


def _make_manager(folder: Path, environment: dict[str, str]) -> None:
    subprocess.run(
        [TOOL, "accounts", "create", EMAIL, "--role", "manager", "--password-stdin"],
        cwd=folder,
        env={**os.environ, **environment},
        input=f"{PASSWORD}\n",
        text=True,
        check=True,
        stdout=2,
    )


def _own_token(server: Server) -> str:
    body = json.dumps({"email": EMAIL, "password": PASSWORD, "means": "tokens"}).encode()
    request = urllib.request.Request(f"{server.url}/auth/log-in", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        token: str = json.load(answer)["session"]["access_token"]
    return token
