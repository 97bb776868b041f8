"""New files of TLS are taken for new handshakes; those that are not right are told of, and the old ones stay."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from certificates import Pair, make_pair
from client_certificates import Authority, context_of, spiffe

from mainstay.app.certificates import Certificates, renewed
from mainstay.app.settings import Settings, load
from mainstay.app.tls import tls_files
from mainstay.testing.fixed import FixedClock
from mainstay.testing.recorder import Recorder


class World:
    """Certificates in use in a folder, a clock that is set, and what was told."""

    def __init__(self, folder: Path, *, tells: bool = True, days: float = 30, **tls: str) -> None:
        self.folder = folder
        self.used = Pair(folder / "used.crt", folder / "used.key")
        self.first = make_pair(folder, "first", days=(-1, days))
        self.put(self.first)
        given = {"certificate": "used.crt", "key": "used.key", **tls}
        environ = {f"MAINSTAY_HTTP_TLS_{name.upper()}": value for name, value in given.items()}
        server = environ.pop("MAINSTAY_HTTP_TLS_SERVER", "native")
        self.settings: Settings = load(folder, environ={**environ, "MAINSTAY_HTTP_SERVER": server}, profile="test")
        self.clock = FixedClock(datetime.now(UTC))
        self.told = Recorder()
        files = tls_files(self.settings)
        assert files is not None
        self.certificates = Certificates(self.settings, files, self.clock, self.told, tells=tells)

    def put(self, pair: Pair) -> None:
        for source, target in zip(pair, self.used, strict=True):
            shutil.copy(source, target)

    def events(self) -> list[str]:
        return [one.event for one in self.told.notices]

    def look(self, times: int = 1) -> None:
        async def all_of_them() -> None:
            for _ in range(times):
                await self.certificates.look()

        asyncio.run(all_of_them())

    def shaken(self, client: ssl.SSLContext, name: str | None = "127.0.0.1") -> ssl.SSLObject:
        """Make a handshake between a client and the server's context, in memory."""
        client.check_hostname = name is not None
        pipes = [ssl.MemoryBIO() for _ in range(2)]
        near = client.wrap_bio(pipes[0], pipes[1], server_hostname=name)
        far = self.certificates.context.wrap_bio(pipes[1], pipes[0], server_side=True)
        for _ in range(4):
            for side in (near, far):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        assert near.version() == "TLSv1.3"
        return far

    def serves(self, pair: Pair, name: str | None = "127.0.0.1") -> bool:
        try:
            self.shaken(context_of(pair.certificate, None), name)
        except ssl.SSLCertVerificationError:
            return False
        return True


def test_new_files_are_taken_once_they_rest(tmp_path: Path) -> None:
    world = World(tmp_path)
    second = make_pair(tmp_path, "second", days=(-1, 60))
    assert world.serves(world.first)
    world.put(second)
    world.look()
    assert world.serves(world.first)  # they may be half written
    world.look()
    assert (world.serves(second), world.serves(world.first)) == (True, False)
    assert world.serves(second, None)  # a client that names no host
    assert world.events() == ["certificate_taken"]
    assert world.certificates.files.expires - datetime.now(UTC) > timedelta(days=58)
    world.look(3)
    assert world.events() == ["certificate_taken"]


def test_a_pair_that_was_half_written_is_never_looked_into(tmp_path: Path) -> None:
    world = World(tmp_path)
    second = make_pair(tmp_path, "second")
    shutil.copy(second.certificate, world.used.certificate)
    world.look()
    shutil.copy(second.key, world.used.key)
    world.look(2)
    assert world.events() == ["certificate_taken"]
    assert world.serves(second)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        ("another key", "http.tls.key: the key in"),
        ("no certificate", "holds no certificate"),
        ("expired", "the certificate expired on"),
        ("gone", "cannot be read"),
    ],
)
def test_what_is_not_right_is_told_once_and_the_old_ones_stay(tmp_path: Path, harm: str, told: str) -> None:
    world = World(tmp_path)
    other = make_pair(tmp_path, "other", days=(-3, -1) if harm == "expired" else (-1, 30))
    match harm:
        case "another key":
            shutil.copy(other.key, world.used.key)
        case "no certificate":
            world.used.certificate.write_text("nothing\n")
        case "expired":
            world.put(other)
        case "gone":
            world.used.certificate.unlink()
    world.look(4)
    (notice,) = world.told.notices
    assert (notice.level, notice.event) == ("error", "certificate_refused")
    assert told in notice.message
    assert world.serves(world.first)
    world.put(make_pair(tmp_path, "third"))
    world.look(2)
    assert world.events() == ["certificate_refused", "certificate_taken"]


def test_a_link_that_leads_elsewhere_is_a_change(tmp_path: Path) -> None:
    world = World(tmp_path)
    second = make_pair(tmp_path, "second")
    for file, target in zip(world.used, second, strict=True):
        file.unlink()
        file.symlink_to(target)
    world.look(2)
    assert world.serves(second)


def test_granian_is_told_to_be_restarted(tmp_path: Path) -> None:
    world = World(tmp_path, server="granian")
    world.put(make_pair(tmp_path, "second"))
    world.look(3)
    (notice,) = world.told.notices
    assert (notice.event, "send SIGHUP" in notice.message) == ("certificate_waits", True)
    assert world.serves(world.first)


def test_the_end_of_a_certificate_is_told_once_a_day(tmp_path: Path) -> None:
    world = World(tmp_path, warning_days="20")
    world.certificates.warn()
    assert world.events() == []
    world.clock.advance(timedelta(days=11))
    world.certificates.warn()
    world.certificates.warn()
    assert world.events() == ["certificate_ends"]
    assert world.told.notices[0].facts == {"days": 19.0}
    world.clock.advance(timedelta(days=1))
    world.certificates.warn()
    assert world.events() == ["certificate_ends"] * 2


def test_one_worker_of_a_host_tells_it(tmp_path: Path) -> None:
    world = World(tmp_path, tells=False, days=3)
    world.certificates.warn()
    assert world.events() == []


def test_the_metrics_tell_the_days_that_are_left(tmp_path: Path) -> None:
    world = World(tmp_path)
    gauge = world.certificates.gauge()
    assert (gauge.name, gauge.merge, round(gauge.value, 1)) == ("mainstay_tls_certificate_days", "min", 30.0)
    world.clock.advance(timedelta(days=40))
    assert round(world.certificates.gauge().value) == -10


def test_files_and_calendar_are_looked_at_for_as_long_as_the_block_lasts(tmp_path: Path) -> None:
    world = World(tmp_path, days=3)

    async def serving() -> None:
        async with renewed(world.certificates):
            second = make_pair(tmp_path, "second")
            world.put(second)
            while "certificate_taken" not in world.events():
                await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1
        async with renewed(None):
            pass

    asyncio.run(serving())
    assert world.events()[:2] == ["certificate_ends", "certificate_taken"]


def test_files_are_not_looked_at_where_no_time_is_set(tmp_path: Path) -> None:
    world = World(tmp_path, watch_seconds="0", days=15)

    async def serving() -> None:
        async with renewed(world.certificates):
            world.put(make_pair(tmp_path, "second"))
            for _ in range(200):
                await asyncio.sleep(0)

    asyncio.run(serving())
    assert "certificate_taken" not in world.events()
    assert "certificate_ends" in world.events()  # hours have passed meanwhile


def test_authorities_and_revocations_are_taken_too(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    till, desk = authority.issue("till", spiffe("/till")), authority.issue("desk", spiffe("/desk"))
    revoked = authority.revoke(tmp_path / "revoked.pem", ["desk"])
    given = {"client_certificates": "required", "client_ca": authority.certificate.name, "client_crl": revoked.name}
    world = World(tmp_path, **given)
    server = world.first.certificate

    def let_in(client: Pair) -> str:
        try:
            world.shaken(context_of(server, client))
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        return "yes"

    assert (let_in(till), let_in(desk)) == ("yes", "certificate revoked")
    authority.revoke(revoked, ["desk", "till"])
    world.look(2)
    assert (let_in(till), let_in(desk)) == ("certificate revoked",) * 2
    shutil.copy(Authority(tmp_path, "others").certificate, authority.certificate)
    authority.revoke(revoked, [])
    world.look(2)
    assert "issuer" in let_in(till)
