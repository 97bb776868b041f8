"""What a broker on SNS and SQS says to them: names, messages as text, and requests whose failures are told alike."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from mainstay.ports.broker import BrokerAway, Incoming, Outgoing

MAX_REQUEST = 256 << 10
"""Bytes of a message, and of all messages of one batch, that every topic and every queue takes."""

ATTRIBUTES = 1 << 10
"""Bytes that are left for what goes with a body."""

BATCH = 10
"""Messages of one request."""

_PLAIN = re.compile(r"[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")


class Place(NamedTuple):
    """Where topics and queues are: a region, a server in its stead, and what their names begin with."""

    region: str
    endpoint: str | None
    prefix: str


def place_of(url: str) -> Place:
    """Take ``sqs://eu-west-1?endpoint=http://127.0.0.1:5000&prefix=shop`` apart. Raises ``ValueError``, not telling it.

    Without ``prefix`` names begin with "mainstay".
    """
    parts = urlsplit(url)
    options = parse_qs(parts.query, keep_blank_values=True)
    endpoint, prefix = options.pop("endpoint", [None])[-1], options.pop("prefix", ["mainstay"])[-1]
    if parts.scheme != "sqs" or options or parts.fragment or parts.path.strip("/") or "@" in parts.netloc:
        raise ValueError("no SQS URL: sqs://eu-west-1")
    if not re.fullmatch(r"[a-z0-9-]+", parts.netloc):
        raise ValueError("an SQS URL names a region: sqs://eu-west-1")
    if endpoint is not None and not re.match(r"https?://.", endpoint):
        raise ValueError("the endpoint of an SQS URL is the URL of a server: ?endpoint=http://127.0.0.1:5000")
    if not prefix or not _NAME.fullmatch(prefix):
        raise ValueError("the prefix of an SQS URL is 1 to 60 letters, digits, - and _")
    return Place(parts.netloc, endpoint, prefix)


def name_of(prefix: str, name: str) -> str:
    """Return the name of a topic or a queue. Raises ``ValueError`` where there can be none."""
    made = f"{prefix}-{name.replace('.', '-')}"
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,75}", made):
        raise ValueError(f"{name!r} has no place in SQS: with its prefix it is 75 letters, digits, - and _ at most")
    return made


def policy_for(queue: str, topics: list[str]) -> str:
    """Return the policy by which these topics, by ARN, and no others may put messages into a queue."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": topics}},
    }
    return msgspec.json.encode({"Version": "2012-10-17", "Statement": [statement] if topics else []}).decode()


def topics_of(policy: str) -> list[str]:
    """Return the topics, by ARN, that a policy of ours lets in."""
    found: list[str] = []
    for statement in msgspec.json.decode(policy or "{}").get("Statement", ()):
        named = statement.get("Condition", {}).get("ArnEquals", {}).get("aws:SourceArn", [])
        found += [named] if isinstance(named, str) else named
    return found


def entry_of(number: int, message: Outgoing) -> dict[str, Any]:
    """Return a message as an entry of a batch. What is no text that SQS takes is sent as base64, and said to be."""
    attributes = {"topic": {"DataType": "String", "StringValue": message.topic}}
    try:
        text = message.body.decode()
    except UnicodeDecodeError:
        text = ""
    if not _PLAIN.fullmatch(text):
        text = b64encode(message.body).decode()
        attributes["encoding"] = {"DataType": "String", "StringValue": "base64"}
    return {"Id": str(number), "Message": text, "MessageAttributes": attributes}


def size_of(entry: dict[str, Any]) -> int:
    """Return what an entry weighs in its batch, in bytes."""
    return len(entry["Message"].encode()) + ATTRIBUTES


def topic_of(message: dict[str, Any]) -> str:
    """Return the topic that a message of a queue was published to."""
    return str(message.get("MessageAttributes", {}).get("topic", {}).get("StringValue", ""))


def incoming_of(message: dict[str, Any]) -> Incoming:
    """Return a message of a queue as it was published."""
    attributes = message.get("MessageAttributes", {})
    text = message["Body"]
    encoded = attributes.get("encoding", {}).get("StringValue") == "base64"
    return Incoming(
        topic=topic_of(message),
        body=b64decode(text) if encoded else text.encode(),
        times=int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
        handle=message,
    )


@asynccontextmanager
async def asking(what: str) -> AsyncIterator[None]:
    """Tell every failure of a request as ``BrokerAway``, with its code and without its text."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise BrokerAway(f"{what}: the server answers with {code}") from error
    except (BotoCoreError, OSError, TimeoutError) as error:
        raise BrokerAway(f"{what}: {type(error).__name__}") from error
