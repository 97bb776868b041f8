"""Documents of AWS Secrets Manager."""

from __future__ import annotations

from typing import Any

import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from mainstay.ports.secrets import SecretDocument, SecretSource, SecretUnreadable

_WORDS = {
    "ResourceNotFoundException": "there is no such secret",
    "AccessDeniedException": "this service may not read it",
    "DecryptionFailure": "its key cannot be used",
    "InvalidRequestException": "it is about to be deleted",
    "UnrecognizedClientException": "the credentials are not known",
    "ExpiredTokenException": "the credentials have expired",
    "ThrottlingException": "the server is asked too often",
}


class SecretsManagerSecrets(SecretSource):
    """``aws-sm://prod/shop#password``: a member of a secret that is a JSON object; without ``#`` the text as it is.

    A secret is named or given by its ARN; its current version counts. The credentials are those that the AWS tools
    find. The client blocks: it is asked before there is a loop, and later from a thread.
    """

    def __init__(self, *, seconds: float, region: str = "", endpoint: str = "") -> None:
        config = Config(connect_timeout=seconds, read_timeout=seconds, retries={"max_attempts": 2})
        try:
            self._client: Any = get_session().create_client(
                "secretsmanager", region_name=region or None, endpoint_url=endpoint or None, config=config
            )
        except (BotoCoreError, ValueError) as error:
            raise SecretUnreadable(f"no client of AWS can be made: {type(error).__name__}") from None

    def read(self, path: str) -> SecretDocument:
        """Return the current version of a secret."""
        try:
            answer = self._client.get_secret_value(SecretId=path)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            raise SecretUnreadable(_WORDS.get(code, f"the server answers with {code}")) from None
        except BotoCoreError as error:
            raise SecretUnreadable(f"the server is not asked: {type(error).__name__}") from None
        text = answer.get("SecretString")
        if text is None:
            raise SecretUnreadable("it is binary, and no text")
        return SecretDocument(text, _members(text))

    def close(self) -> None:
        """End the connections."""
        self._client.close()


def _members(text: str) -> dict[str, str]:
    """Return the members of a JSON object as text; none of anything else."""
    try:
        found = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}
    return {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode() for name, value in found.items()
    }
