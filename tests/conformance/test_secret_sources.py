"""Every place of secrets does what the port says; that of AWS on the server that MAINSTAY_TEST_DYNAMO names (moto)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from botocore.session import get_session
from vault_double import vault_double

from mainstay.adapters.aws.secrets import SecretsManagerSecrets
from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.local.secrets import EnvironmentSecrets, FileSecrets
from mainstay.adapters.vault.secrets import ByToken, VaultSecrets
from mainstay.ports.secrets import SecretUnreadable
from mainstay.testing.conformance.secrets import Kept, SecretsConformance


class TestEnvironmentSecrets(SecretsConformance):
    members = False
    changes = False

    @contextmanager
    def make(self) -> Iterator[Kept]:
        environ: dict[str, str] = {}
        yield Kept(EnvironmentSecrets(environ), environ.__setitem__)


class TestFileSecrets(SecretsConformance):
    members = False

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    @contextmanager
    def make(self) -> Iterator[Kept]:
        yield Kept(FileSecrets(self.folder), lambda path, text: (self.folder / path).write_text(text))


class TestVaultSecrets(SecretsConformance):
    paths = ("kv/one", "kv/deep/two", "kv/none")
    texts = False

    @contextmanager
    def make(self) -> Iterator[Kept]:
        with vault_double() as double:
            source = VaultSecrets(double.url, ByToken(lambda: "root"), seconds=5, clock=SystemClock().monotonic)
            yield Kept(source, double.documents.__setitem__)


class TestVaultSecretsOfTheFirstVersion(TestVaultSecrets):
    paths = ("old/one", "plain/deep/two", "old/none")


@pytest.fixture
def _aws_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "anybody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "anything")


def endpoint() -> str:
    found = os.environ.get("MAINSTAY_TEST_DYNAMO")
    if not found:
        pytest.fail('this test needs moto: scripts/services up, then eval "$(scripts/services env)"')
    return parse_qs(urlsplit(found).query)["endpoint"][0]


class Manager:
    """A hand in Secrets Manager, which takes away what it has put there."""

    def __init__(self) -> None:
        self.client: Any = get_session().create_client("secretsmanager", "eu-west-1", endpoint_url=endpoint())
        self.made: set[str] = set()

    def put(self, name: str, value: str | bytes | dict[str, Any]) -> None:
        text = json.dumps(value) if isinstance(value, dict) else value
        given = {"SecretBinary": text} if isinstance(text, bytes) else {"SecretString": text}
        if name in self.made:
            self.client.put_secret_value(SecretId=name, **given)
        else:
            self.client.create_secret(Name=name, **given)
            self.made.add(name)

    def close(self) -> None:
        for name in self.made:
            self.client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
        self.client.close()


@pytest.mark.usefixtures("_aws_credentials")
class TestSecretsManager(SecretsConformance):
    paths = tuple(f"{name}/{uuid4()}" for name in ("one", "two", "none"))  # type: ignore[assignment]  # three of them

    @contextmanager
    def make(self) -> Iterator[Kept]:
        manager = Manager()
        source = SecretsManagerSecrets(seconds=5, region="eu-west-1", endpoint=endpoint())
        yield Kept(source, manager.put)
        manager.close()

    def test_a_text_that_is_no_object_is_whole(self, kept: Kept) -> None:
        for text in ("plain text", "[1, 2]", "12", '{"a": '):
            kept.put(self.paths[0], text)
            document = kept.source.read(self.paths[0])
            assert (document.text, document.members) == (text, {})

    def test_members_that_are_no_text_become_it(self, kept: Kept) -> None:
        kept.put(self.paths[0], {"port": 5432, "on": True, "list": ["a"]})
        assert kept.source.read(self.paths[0]).members == {"port": "5432", "on": "true", "list": '["a"]'}

    def test_bytes_are_refused(self, kept: Kept) -> None:
        kept.put(self.paths[0], b"\x00\x01")
        with pytest.raises(SecretUnreadable, match="binary"):
            kept.source.read(self.paths[0])

    def test_a_server_that_is_away_is_said_to_be_so(self) -> None:
        source = SecretsManagerSecrets(seconds=0.2, region="eu-west-1", endpoint="http://127.0.0.1:9")
        with pytest.raises(SecretUnreadable, match="the server is not asked: EndpointConnectionError"):
            source.read("x")
        source.close()
