"""The published JOSE test vectors, decided as they say, for the four algorithms that are supported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mainstay.adapters.jose.jws import JwsVerifier
from mainstay.adapters.jose.keys import Key, KeyRefused, load_jwk, load_jwk_set
from mainstay.model.problem import Unauthenticated

SUITES = Path(__file__).resolve().parents[4].parent / "shared" / "suites" / "jose"
SUPPORTED = {"HS256", "RS256", "ES256", "EdDSA"}

DISPUTED = {
    367: "says invalid padding, but its token is byte for byte the valid one of case 357",
    370: "says invalid padding in the payload, but its token is byte for byte the valid one of case 357",
    372: "calls a header with a character outside the base64url alphabet valid: RFC 7515, section 5.2, refuses it",
    373: "calls a payload with a character outside the base64url alphabet valid: RFC 7515, section 5.2, refuses it",
}


def groups(name: str) -> list[dict[str, Any]]:
    file = SUITES / f"json_web_{name}_test.json"
    if not file.exists():
        return []
    found: list[dict[str, Any]] = json.loads(file.read_text())["testGroups"]
    return found


def algorithm_of(group: dict[str, Any]) -> str | None:
    """The algorithm that the group's key is for; a key that names none is loaded for the algorithm of its tests."""
    named: str | None = (group.get("public") or group["private"]).get("alg")
    return named or {"rsa_encryption": "RS256", "ec_key_for_encryption": "ES256"}.get(group["comment"])


def signature_cases() -> list[Any]:
    return [
        pytest.param(group, test, id=f"{group['comment']}-{test['tcId']}-{test['comment']}-{number}")
        for number, group in enumerate(groups("signature"))
        if algorithm_of(group) in SUPPORTED
        for test in group["tests"]
        if test["tcId"] not in DISPUTED
    ]


def key_cases(name: str, supported: Any) -> list[Any]:
    return [
        pytest.param(group, test, id=f"{group['comment']}-{test['tcId']}-{test['comment']}")
        for group in groups(name)
        if supported(group)
        for test in group["tests"]
    ]


def is_signature_group(group: dict[str, Any]) -> bool:
    # Out of scope: the groups jwe_* (encryption is not offered) and those of HS384 and HS512.
    return not group["comment"].startswith("jwe") and group["comment"] not in {"HS384", "HS512"}


def accepts(document: dict[str, Any], algorithm: str | None, jws: Any) -> bool:
    """Load the key and check the token, as the service does."""
    token = jws if isinstance(jws, str) else json.dumps(jws) if jws else ""
    try:
        keys: tuple[Key, ...]
        keys = load_jwk_set(document) if "keys" in document else (load_jwk(document, algorithm=algorithm),)
        JwsVerifier(keys).verify(token.encode())
    except (KeyRefused, Unauthenticated):
        return False
    return True


pytestmark = pytest.mark.skipif(not SUITES.is_dir(), reason="the published vectors are not beside the repository")


@pytest.mark.parametrize(("group", "test"), signature_cases())
def test_signature_vector(group: dict[str, Any], test: dict[str, Any]) -> None:
    document = group.get("public") or group["private"]

    assert accepts(document, algorithm_of(group), test.get("jws")) is (test["result"] == "valid")


@pytest.mark.parametrize(("group", "test"), key_cases("key", is_signature_group))
def test_key_vector(group: dict[str, Any], test: dict[str, Any]) -> None:
    assert accepts(group.get("public") or group["private"], None, test["jws"]) is (test["result"] == "valid")


@pytest.mark.parametrize(("group", "test"), key_cases("key", is_signature_group))
def test_key_vector_with_the_private_document(group: dict[str, Any], test: dict[str, Any]) -> None:
    assert accepts(group["private"], None, test["jws"]) is (test["result"] == "valid")


@pytest.mark.parametrize(("group", "test"), key_cases("crypto", is_signature_group))
def test_crypto_vector(group: dict[str, Any], test: dict[str, Any]) -> None:
    document = group.get("public") or group["private"]

    assert accepts(document, None, test.get("jws")) is (test["result"] == "valid")


def other_cases() -> list[Any]:
    """The cases of what is not supported: other algorithms, and everything that is encrypted."""
    in_scope = {
        "signature": lambda group: algorithm_of(group) in SUPPORTED,
        "key": is_signature_group,
        "crypto": is_signature_group,
    }
    return [
        pytest.param(group, test, id=f"{name}-{group['comment']}-{test['tcId']}-{number}")
        for name, supported in in_scope.items()
        for number, group in enumerate(groups(name))
        if not supported(group)
        for test in group["tests"]
    ]


@pytest.mark.parametrize(("group", "test"), other_cases())
def test_what_is_not_supported_is_accepted_by_no_key(group: dict[str, Any], test: dict[str, Any]) -> None:
    token = test.get("jws") or test.get("jwe") or ""

    for document in filter(None, (group.get("public"), group.get("private"))):
        assert not accepts(document, None, token)
    for algorithm in SUPPORTED:
        assert not accepts(group.get("public") or group["private"], algorithm, token)


def test_every_case_of_the_three_files_is_run() -> None:
    total = sum(len(group["tests"]) for name in ("signature", "key", "crypto") for group in groups(name))
    run = signature_cases(), key_cases("key", is_signature_group), key_cases("crypto", is_signature_group)

    assert sum(map(len, run)) + len(other_cases()) + len(DISPUTED) == total


def test_what_is_not_supported_is_named() -> None:
    algorithms = {algorithm_of(group) for group in groups("signature")}
    every_id = {test["tcId"] for group in groups("signature") for test in group["tests"]}

    assert algorithms - SUPPORTED == {"RS384", "RS512", "PS256", "PS384", "PS512", "ES521"}
    assert every_id >= DISPUTED.keys()
    assert len(signature_cases()) == 312


@pytest.mark.parametrize("case", DISPUTED)
def test_disputed_vector(case: int) -> None:
    group, test = next((g, t) for g in groups("signature") for t in g["tests"] if t["tcId"] == case)
    contested = test["result"] == "valid"

    assert accepts(group["private"], None, test["jws"]) is not contested, DISPUTED[case]
