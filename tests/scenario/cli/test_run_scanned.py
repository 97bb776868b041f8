"""TLS of a served process, as two scanners of the distribution see it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from certificates import make_pair

SECONDS = 120
MODERN = {"TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"}
FORWARD = re.compile(r"ECDHE-(?:ECDSA|RSA)-(?:AES(?:128|256)-GCM-SHA(?:256|384)|CHACHA20-POLY1305)")
FORWARD_BY_IANA_NAME = re.compile(
    r"TLS_ECDHE_(?:ECDSA|RSA)_WITH_(?:AES_(?:128|256)_GCM|CHACHA20_POLY1305)_SHA(?:256|384)"
)
SERVERS = [("native", "1.3"), ("native", "1.2"), ("uvicorn", "1.3"), ("granian", "1.3"), ("granian", "1.2")]


def scanned(*command: str) -> ElementTree.Element:
    if shutil.which(command[0]) is None:
        pytest.fail(f"this test needs {command[0]}: scripts/services up installs it")
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS)
    return ElementTree.fromstring(done.stdout)


@pytest.fixture(params=SERVERS, ids=lambda one: f"{one[0]}-{one[1]}")
def served(request: pytest.FixtureRequest, run: Any, project: Path) -> tuple[str, str]:
    """Return where TLS is spoken, and from which version on."""
    server, minimum = request.param
    pair = make_pair(project)
    given = {"CERTIFICATE": str(pair.certificate), "KEY": str(pair.key), "MINIMUM": minimum}
    service = run("--server", server, **{f"MAINSTAY_HTTP_TLS_{name}": value for name, value in given.items()})
    return service.facts()["url"].removeprefix("https://"), minimum


def test_sslscan_finds_new_versions_and_good_ciphers_only(served: tuple[str, str]) -> None:
    address, minimum = served
    (found,) = scanned("sslscan", "--xml=-", "--show-times", address).iter("ssltest")
    enabled = {f"{one.get('type')}{one.get('version')}" for one in found.iter("protocol") if one.get("enabled") == "1"}
    assert enabled == ({"tls1.3"} if minimum == "1.3" else {"tls1.2", "tls1.3"})
    (renegotiation,) = found.iter("renegotiation")
    assert renegotiation.get("supported") == "0"
    assert all(one.get("supported") == "0" for one in found.iter("compression"))
    assert all(one.get("vulnerable") == "0" for one in found.iter("heartbleed"))
    ciphers = {
        (one.get("sslversion"), one.get("cipher") or "", int(one.get("bits") or 0)) for one in found.iter("cipher")
    }
    assert ciphers
    for version, name, bits in ciphers:
        assert bits >= 128
        assert name in MODERN if version == "TLSv1.3" else FORWARD.fullmatch(name), name
    assert {version for version, _, _ in ciphers} == ({"TLSv1.3"} if minimum == "1.3" else {"TLSv1.2", "TLSv1.3"})


def test_nmap_grades_every_cipher_as_good(served: tuple[str, str]) -> None:
    address, minimum = served
    host, port = address.split(":")
    found = scanned("nmap", "-oX", "-", "-Pn", "-n", "-p", port, "--script", "+ssl-enum-ciphers", host)
    (script,) = [one for one in found.iter("script") if one.get("id") == "ssl-enum-ciphers"]
    versions = {one.get("key"): one for one in script.findall("table")}
    assert set(versions) == ({"TLSv1.3"} if minimum == "1.3" else {"TLSv1.2", "TLSv1.3"})
    names = [one.text or "" for one in script.iter("elem") if one.get("key") == "name"]
    assert names
    assert all(name.startswith("TLS_AKE_") or FORWARD_BY_IANA_NAME.fullmatch(name) for name in names), names
    (least,) = [one.text for one in script.findall("elem") if one.get("key") == "least strength"]
    assert least == "A"
    compressors = [one for table in script.iter("table") if table.get("key") == "compressors" for one in table]
    assert all(one.text == "NULL" for one in compressors)
