"""The guard of outgoing calls: one look-up, every address judged, and what the settings allow beyond."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import pytest

from mainstay.adapters.outgoing.allowances import allowances
from mainstay.adapters.outgoing.guard import MAX_ADDRESSES, Guard, system_resolver
from mainstay.ports.http import AddressRefused, HttpFailed


class Names:
    """A name server: what it says of each name, one answer after the other, the last one again and again."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self.answers = {name.replace("_", "."): list(said) for name, said in answers.items()}
        self.asked: list[str] = []

    async def resolve(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        said = self.answers.get(name)
        if said is None:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return said.pop(0) if len(said) > 1 else said[0]


def guard(*allow: str, listening: Sequence[tuple[str, int]] = (), **answers: Sequence[str]) -> Guard:
    names = Names(**{name: [said] for name, said in answers.items()})
    return Guard(allowances(allow), listening=listening, resolve=names.resolve)


async def allowed(guarded: Guard, host: str, port: int = 443) -> bool:
    try:
        return bool(await guarded.addresses(host, port))
    except AddressRefused:
        return False


async def test_a_name_is_looked_up_once_and_gives_what_was_judged() -> None:
    names = Names(a_example=[["8.8.8.8", "8.8.4.4", "8.8.8.8"], ["127.0.0.1"]])
    found = await Guard(resolve=names.resolve).addresses("a.example", 443)
    assert [str(address) for address in found] == ["8.8.8.8", "8.8.4.4"]
    assert names.asked == ["a.example"]


async def test_an_address_is_not_looked_up() -> None:
    names = Names()
    assert [str(a) for a in await Guard(resolve=names.resolve).addresses("8.8.8.8", 443)] == ["8.8.8.8"]
    assert names.asked == []


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fd00::1"])
async def test_one_bad_address_among_good_ones_refuses_the_name(address: str) -> None:
    for order in (["8.8.8.8", address], [address, "8.8.8.8"]):
        with pytest.raises(AddressRefused):
            await guard(a_example=order).addresses("a.example", 443)
    assert not await allowed(guard(), address)


async def test_ports_of_public_hosts_are_those_of_the_settings() -> None:
    here = guard(a_example=["8.8.8.8"])
    assert [port for port in (22, 25, 80, 443, 6379, 8080) if await allowed(here, "a.example", port)] == [80, 443]
    other = Guard(ports=(8443,))
    assert [port for port in (80, 443, 8443) if await allowed(other, "8.8.8.8", port)] == [8443]


async def test_a_network_may_be_allowed() -> None:
    here = guard("10.1.2.0/24", "fd00:1::/32", "192.168.1.1:8080", a_b=["10.1.2.9"], c_d=["10.1.3.9"])
    assert await allowed(here, "a.b")
    assert await allowed(here, "10.1.2.255", 9000)
    assert await allowed(here, "::ffff:10.1.2.1")
    assert await allowed(here, "fd00:1::7", 1)
    assert await allowed(here, "192.168.1.1", 8080)
    for host, port in (("c.d", 443), ("10.1.3.0", 443), ("fd00:2::1", 443), ("192.168.1.1", 443)):
        assert not await allowed(here, host, port)


async def test_a_name_may_be_allowed_and_lead_to_addresses_of_ones_own() -> None:
    inside = {"cache_internal": ["10.0.0.1"], "x_svc": ["fd00::1", "100.64.0.1"], "y_x_svc": ["127.0.0.1"]}
    here = guard("cache.internal", "*.svc:8080", **inside, svc=["10.0.0.1"], other_internal=["10.0.0.1"])
    assert await allowed(here, "cache.internal", 6379)
    assert await allowed(here, "x.svc", 8080)
    assert await allowed(here, "y.x.svc", 8080)
    for host, port in (("x.svc", 443), ("svc", 8080), ("other.internal", 443), ("10.0.0.1", 443)):
        assert not await allowed(here, host, port)


@pytest.mark.parametrize("address", ["169.254.1.1", "169.254.169.254", "224.0.0.1", "0.0.0.0", "192.0.2.1", "fe80::1"])
async def test_a_name_that_is_allowed_does_not_lead_everywhere(address: str) -> None:
    assert not await allowed(guard("a.internal", a_internal=[address]), "a.internal")


async def test_metadata_of_a_cloud_takes_an_entry_of_its_own() -> None:
    for network in ("169.254.0.0/16", "0.0.0.0/0", "168.63.129.0/24", "100.64.0.0/10"):
        for address in ("169.254.169.254", "168.63.129.16", "100.100.100.200"):
            assert not await allowed(guard(network), address)
    assert await allowed(guard("169.254.169.254"), "169.254.169.254", 80)


async def test_the_service_does_not_call_itself() -> None:
    places = [("0.0.0.0", 8000), ("127.0.0.1", 8001), ("::", 8002), ("localhost", 8003)]
    here = guard("127.0.0.0/8", "::1", "127.0.0.1:9000", listening=places)
    for host, port in (("127.0.0.1", 8000), ("127.0.0.9", 8000), ("127.0.0.1", 8001), ("::1", 8002), ("::1", 8003)):
        assert not await allowed(here, host, port), (host, port)
    assert await allowed(here, "127.0.0.1", 8004)
    assert await allowed(here, "127.0.0.2", 8001)  # somebody else listens there
    assert await allowed(guard("127.0.0.1:8000", listening=places), "127.0.0.1", 8000)  # said in so many words
    assert await allowed(Guard(ports=(8000,), listening=places), "8.8.8.8", 8000)


async def test_a_name_that_leads_nowhere_is_no_answer() -> None:
    for here in (guard(), guard(a_example=[]), guard(a_example=["x"])):
        with pytest.raises(HttpFailed) as failed:
            await here.addresses("a.example", 443)
        assert not isinstance(failed.value, AddressRefused)
    many = [f"8.8.8.{n}" for n in range(MAX_ADDRESSES + 1)]
    with pytest.raises(HttpFailed, match="33 addresses"):
        await guard(a_example=many).addresses("a.example", 443)


async def test_the_system_is_asked_by_default() -> None:
    assert {"127.0.0.1", "::1"} >= set(await system_resolver("localhost"))


@pytest.mark.parametrize(
    "entry",
    [
        *(
            "",
            "*",
            "*.",
            "a b",
            "http://a",
            "a.example/x",
            "10.0.0.1/33",
            "10.0.0.1/8",
            "10.0.0",
            "a:0",
            "a:65536",
            "a:x",
        ),
        *("a:", "[::1]x", "[::1]:0", "::1/200", "a..b", "user@a", "0x7f.1", "127.1", "é", "*.10.0.0.1", "a:٣"),
    ],
)
def test_an_entry_that_says_nothing_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="entry 2"):
        allowances(["10.0.0.0/8", entry])


def test_entries_may_have_a_port() -> None:
    made = allowances(["A.b:1", "[fd00::1]:2", "[fd00::1]", "fd00::/8", "10.0.0.1:3", "10.0.0.0/8:4", "*.A.b"])
    assert [one.port for one in made] == [1, 2, None, None, 3, 4, None]
    assert [one.name for one in made] == ["a.b", "", "", "", "", "", ".a.b"]
