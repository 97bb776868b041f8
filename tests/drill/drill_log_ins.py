"""Let fifty people log in at once, again and again, under a steady load of others, and see what the others notice.

One worker in production's profile, on SQLite, hashes passwords with Argon2id of the default parameters. People who are
logged in send 200 requests a second, reads and writes, at times that wait for no answer. By turns there are two
seconds without log-ins and a burst of fifty, until the last of them is answered. Each burst is compared with the calm
before it, so that a machine which is slow for a while is slow for both.

The p99 of the others is at most twice that of the calm and a floor of five milliseconds: of some hundred requests it is
the fifth slowest, which a timer or a neighbour on the machine moves by as much. The median of all bursts counts, for
the same reason; the p99 over all calms and over all bursts is told beside it. No request of the others fails, and every
log-in is answered 200, or 503 with Retry-After, as some of --crowd 100 are.

    scripts/drill log_ins --count 20 --seed 7
"""

from __future__ import annotations

import json
import random
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from open_loop import END, Found, Generator, Request
from served import PATIENCE, Broken, Options, Service, head, parse, quantile, verdict

RATE = 200.0  # requests a second, of the others
CONNECTIONS = 400  # enough for two seconds without an answer
READERS = 20  # people who are logged in
CROWD = 50
CALM = 2.0  # seconds
PAUSE = 0.3  # seconds after a burst, which belong to neither
PASSWORD = "a wet lantern hums"
SETTINGS = """service = "members:service"
[http]
port = {port}
[database]
url = "sqlite:///members.sqlite3"
[admin]
port = 0
[log]
level = "warning"
"""


class Burst(NamedTuple):
    """When log-ins were under way, and the calm before; in seconds of the load."""

    calm: float
    begun: float
    ended: float


class Person(NamedTuple):
    """Somebody with an address of its own on the loopback network: an address has few log-ins a minute."""

    email: str
    host: str

    def connect(self, port: int) -> socket.socket:
        """Return a connection to the service."""
        return socket.create_connection(("127.0.0.1", port), PATIENCE, (self.host, 0))

    def log_in(self) -> bytes:
        """Return the request of a log-in."""
        return _post("/auth/log-in", {"email": self.email, "password": PASSWORD})


def _people(kind: str, net: int, count: int) -> list[Person]:
    return [Person(f"{kind}{number}@members.example", f"127.0.{net}.{number + 1}") for number in range(count)]


def _post(path: str, value: Any) -> bytes:
    body = json.dumps(value).encode()
    return head("POST", path, body, {"Connection": "close"}) + body


def _exchange(one: socket.socket, raw: bytes) -> bytes:
    one.sendall(raw)
    return _rest(one)


def _rest(one: socket.socket) -> bytes:
    data = b""
    while part := one.recv(1 << 16):
        data += part
    return data


class Crowd:
    """People who log in at the same moment, each from an address of its own."""

    def __init__(self, port: int, people: Sequence[Person]) -> None:
        self.statuses: Counter[int] = Counter()
        self.wrong: list[str] = []
        self.seconds: list[float] = []
        self._port = port
        self._people = people
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Let all log in, beside the one that calls."""
        self._thread = threading.Thread(target=self._all)
        self._thread.start()

    def is_answered(self) -> bool:
        """Whether every one of them was answered, or given up."""
        assert self._thread is not None
        return not self._thread.is_alive()

    def _all(self) -> None:
        requests = [person.log_in() for person in self._people]
        sockets = [person.connect(self._port) for person in self._people]
        begun = time.monotonic()
        for one, raw in zip(sockets, requests, strict=True):
            one.sendall(raw)
        for one in sockets:
            with closing(one):
                self._take(one)
            self.seconds.append(time.monotonic() - begun)

    def _take(self, one: socket.socket) -> None:
        try:
            data = _rest(one)
        except OSError as error:
            self.wrong.append(repr(error))
            return
        status = int(data[9:12] or 0)
        self.statuses[status] += 1
        if status != 200 and not (status == 503 and b"\r\nretry-after:" in data.lower()):
            self.wrong.append(data.decode()[-300:] or "the connection ended without an answer")


class Rounds:
    """Calm and burst by turns, a number of times, beside the load of the others."""

    def __init__(self, crowd: Crowd, count: int, chance: random.Random) -> None:
        self.bursts: list[Burst] = []
        self._crowd = crowd
        self._count = count
        self._chance = chance
        self._calm = PAUSE
        self._due = self._next_due()
        self._begun: float | None = None

    def _next_due(self) -> float:
        return self._calm + CALM + self._chance.random() / 4

    def __call__(self, now: float) -> object:
        """Begin or end what is due. Answers ``END`` after the last round."""
        if self._begun is None:
            if len(self.bursts) == self._count:
                return END if now >= self._calm else None
            if now >= self._due:
                self._begun = now
                self._crowd.begin()
        elif self._crowd.is_answered():
            self.bursts.append(Burst(self._calm, self._begun, now))
            self._calm, self._begun = now + PAUSE, None
            self._due = self._next_due()
        return None


def _enter(port: int, people: Sequence[Person]) -> list[str]:
    """Let people sign up and log in once, one after another; return their access tokens."""
    tokens = []
    for person in people:
        asked = {"email": person.email, "password": PASSWORD, "name": "Somebody"}
        with closing(person.connect(port)) as one:
            made = _exchange(one, _post("/auth/sign-up", asked))
        with closing(person.connect(port)) as one:
            entered = _exchange(one, person.log_in())
        if (made[9:12], entered[9:12]) != (b"202", b"200"):
            raise Broken(f"{person.email} could not enter: {made!r}, {entered!r}")
        tokens.append(json.loads(entered.partition(b"\r\n\r\n")[2])["session"]["access_token"])
    return tokens


def _requests(tokens: Sequence[str]) -> list[Request]:
    """Return what the others send: nine reads for each write."""
    found = []
    for token in tokens:
        fields = {"Authorization": f"Bearer {token}"}
        body = json.dumps({"text": "buy milk"}).encode()
        found.append(Request("read", 9, head("GET", "/notes?limit=10", b"", fields)))
        found.append(Request("write", 1, head("POST", "/notes", body, fields) + body))
    return found


def _taken(found: Found, bursts: Sequence[Burst]) -> tuple[list[list[float]], list[list[float]]]:
    """Return the seconds that requests took which were sent in each calm, and in the burst after it."""
    sent = [(at - took, took) for at, took in zip(found.served_at, found.served, strict=True)]

    def between(since: float, until: float) -> list[float]:
        return [took for at, took in sent if since <= at < until]

    return [between(one.calm, one.begun) for one in bursts], [between(one.begun, one.ended) for one in bursts]


def _ms(values: Sequence[float]) -> list[float]:
    return [round(1000 * value, 1) for value in values]


def _judge(found: Found, rounds: Rounds, options: Options) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is wrong with the others' requests, and the figures of them."""
    taken = _taken(found, rounds.bursts)
    calm, beside = ([quantile(one, 0.99) for one in some] for some in taken)
    floor = options.floor / 1000
    slower = quantile([max(0.0, one - floor) / other for one, other in zip(beside, calm, strict=True)], 0.5)
    failed = {f"{name} {status}": times for (name, status), times in found.statuses.items() if status >= 400}
    failed |= {name: times for name, times in (("lost", found.lost), ("unsent", found.unsent)) if times}
    faults: dict[str, Any] = {"failed": failed} if failed else {}
    if slower > options.margin:
        faults["others_were_slower"] = round(slower, 2)
    return faults, {
        "others": found.sent,
        "calm_p99_ms": _ms(calm),
        "beside_p99_ms": _ms(beside),
        "median_p99_ms": _ms([quantile(calm, 0.5), quantile(beside, 0.5)]),
        "p99_of_all_ms": _ms([quantile([one for some in part for one in some], 0.99) for part in taken]),
        "times_slower": round(slower, 2),
    }


def _drill(service: Service, options: Options) -> tuple[dict[str, Any], dict[str, Any]]:
    tokens = _enter(service.port, _people("reader", 1, READERS))
    guests = _people("guest", 2, options.crowd)
    _enter(service.port, guests)  # from where they log in later on, too
    crowd = Crowd(service.port, guests)
    rounds = Rounds(crowd, options.count, random.Random(options.seed))
    generator = Generator(service.port, _requests(tokens), CONNECTIONS, options.seed)
    try:
        generator.open(RATE, 1.0)  # warm
        found = generator.open(RATE, options.count * PATIENCE, rounds)
    finally:
        generator.close()
    if len(rounds.bursts) < options.count:
        raise Broken(f"log-ins were not answered in time\n{service.said()}")
    faults, figures = _judge(found, rounds, options)
    if crowd.wrong:
        faults["log_ins"] = crowd.wrong[:3]
    if tracebacks := service.tracebacks():
        faults["tracebacks"] = tracebacks[:2]
    statuses = {str(status): times for status, times in sorted(crowd.statuses.items())}
    slowest = _ms([quantile(crowd.seconds, 0.5), max(crowd.seconds)])
    return faults, {"bursts": options.count, "log_ins": statuses, "log_in_p50_max_ms": slowest, **figures}


def main(arguments: Sequence[str]) -> int:
    """Do the drill and say what was found.

    ``--margin`` is how many times slower others may be, after ``--floor`` milliseconds; ``--crowd`` log in at once.
    """
    options = parse(arguments, __doc__, margin=2, floor=5, crowd=CROWD)
    with tempfile.TemporaryDirectory(prefix="drill-") as name:
        folder = Path(name)
        service = Service(folder, package=options.package, production=True)
        (folder / "mainstay.toml").write_text(SETTINGS.format(port=service.port))
        shutil.copy(Path(__file__).parent / "members.py", folder)
        try:
            service.migrate()
            service.start()
            faults, figures = _drill(service, options)
        finally:
            service.end()
    return verdict(faults, **figures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
