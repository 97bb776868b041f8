"""The store on one table of DynamoDB."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from mainstay.adapters.dynamo import claims
from mainstay.adapters.dynamo.claims import DynamoClaims
from mainstay.adapters.dynamo.layout import PARTITION, SORT, Layout, layouts
from mainstay.adapters.dynamo.reading import Stored
from mainstay.adapters.dynamo.transaction import DynamoTransaction
from mainstay.adapters.dynamo.wire import MAX_ITEMS, Wire
from mainstay.model.operation import Isolation
from mainstay.model.structs import Entity
from mainstay.ports.again import Line
from mainstay.ports.store import Capabilities, Store, StoreUnusable, Table

MAX_SCAN = 10_000
"""The rows that one read may look through, where nothing is said of it."""

TIMEOUT = 5.0
"""Seconds to connect, and for an answer; a request is sent four times at most, known by its token."""

_SCHEMA = [
    {"AttributeName": PARTITION, "KeyType": "HASH"},
    {"AttributeName": SORT, "KeyType": "RANGE"},
]
_LOOKS = 120  # for a new table to become active
_LOOK_SECONDS = 0.5
_CONNECTIONS = 32


class Place(NamedTuple):
    """Where a store is: what its URL says."""

    region: str
    table: str
    endpoint: str | None


def place_of(url: str) -> Place:
    """Take ``dynamodb://region/table?endpoint=http://127.0.0.1:8000`` apart. Raises ``ValueError``, not telling it."""
    parts = urlsplit(url)
    table = parts.path.removeprefix("/")
    options = parse_qs(parts.query, keep_blank_values=True)
    endpoint = options.pop("endpoint", [None])[-1]
    if parts.scheme != "dynamodb" or options or parts.fragment or "@" in parts.netloc:
        raise ValueError("no DynamoDB URL: dynamodb://eu-west-1/shop")
    if not re.fullmatch(r"[a-z0-9-]+", parts.netloc) or not re.fullmatch(r"[A-Za-z0-9_.-]{3,255}", table):
        raise ValueError("a DynamoDB URL names a region and a table of 3 to 255 letters: dynamodb://eu-west-1/shop")
    if endpoint is not None and not re.match(r"https?://.", endpoint):
        raise ValueError("the endpoint of a DynamoDB URL is the URL of a server: ?endpoint=http://127.0.0.1:8000")
    return Place(parts.netloc, table, endpoint)


class DynamoStore(Store):
    """Rows in the table ``table`` of a region, shared by all processes that reach it. It is made where it is missing.

    ``endpoint`` is the URL of a server other than the region's own. ``credentials`` are a key id and its secret; where
    they are left out they are found as the AWS tools find them. ``max_scan`` bounds what a read may look through,
    ``timeout`` in seconds how long an answer is waited for.
    """

    def __init__(
        self,
        region: str,
        table: str,
        *,
        endpoint: str | None = None,
        credentials: tuple[str, str] | None = None,
        max_scan: int = MAX_SCAN,
        claim_seconds: float = claims.TERM,
        timeout: float = TIMEOUT,
    ) -> None:
        self.capabilities = Capabilities(
            streaming=False, locks=False, snapshots=False, max_writes=MAX_ITEMS, max_scan=max_scan
        )
        self.claims: DynamoClaims = DynamoClaims(term=claim_seconds)
        self.line: Line = Line()
        self.layouts: dict[type[Entity], Layout] = {}
        self._region = region
        self._table = table
        self._endpoint = endpoint
        self._credentials = credentials
        self._max_scan = max_scan
        self._timeout = timeout
        self._stack = AsyncExitStack()
        self._wire: Wire | None = None
        self.commits: int = 0
        self.rollbacks: int = 0
        self.conflicts: int = 0

    @property
    def wire(self) -> Wire:
        """The requests. Raises ``RuntimeError`` where the store is not open."""
        if self._wire is None:
            raise RuntimeError("the store is not open: start() it with its tables first")
        return self._wire

    @property
    def stored(self) -> Stored:
        """What is stored."""
        return Stored(self.wire, self._max_scan)

    def layout(self, entity: type[Entity]) -> Layout:
        """Return the rules of a table. Raises ``LookupError`` for an entity that has none."""
        try:
            return self.layouts[entity]
        except KeyError:
            raise LookupError(f"{entity.__name__} has no table in this store") from None

    async def start(self, tables: Sequence[Table]) -> None:
        """Open the store for these tables. Raises ``StoreUnusable``."""
        made = layouts(tables)
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(self._client())
            try:
                await self._prepare(client)
            except NoCredentialsError as error:
                raise StoreUnusable("there are no AWS credentials", "give them as the AWS tools take them") from error
            except ClientError as error:
                code = error.response["Error"]["Code"]
                raise StoreUnusable(
                    f"DynamoDB refuses the table {self._table} ({code})", "look at the region and the permissions"
                ) from error
            except BotoCoreError as error:
                raise StoreUnusable(
                    f"DynamoDB does not answer ({type(error).__name__})", "look at database.url"
                ) from error
            self._wire = Wire(client, self._table)
            self.claims.start(self._wire)
            stack.push_async_callback(self.claims.stop)
            self._stack = stack.pop_all()
        self.layouts = made

    def _client(self) -> Any:
        key, secret = self._credentials or (None, None)
        config = AioConfig(
            connect_timeout=self._timeout,
            read_timeout=self._timeout,
            max_pool_connections=_CONNECTIONS,
            retries={"mode": "standard", "total_max_attempts": 4},
        )
        return get_session().create_client(
            "dynamodb",
            region_name=self._region,
            endpoint_url=self._endpoint,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=config,
        )

    async def _prepare(self, client: Any) -> None:
        """Make the table where it is missing, and wait until it can be used."""
        for _ in range(_LOOKS):
            try:
                told = (await client.describe_table(TableName=self._table))["Table"]
            except client.exceptions.ResourceNotFoundException:
                await self._create(client)
                continue
            if told["KeySchema"] != _SCHEMA:
                raise StoreUnusable(f"the table {self._table} is another's: it has other keys", "name another prefix")
            if told["TableStatus"] in ("ACTIVE", "UPDATING"):
                return
            await asyncio.sleep(_LOOK_SECONDS)
        raise StoreUnusable(f"the table {self._table} does not become active", "look at it in the console")

    async def _create(self, client: Any) -> None:
        try:
            await client.create_table(
                TableName=self._table,
                KeySchema=_SCHEMA,
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in (PARTITION, SORT)],
                BillingMode="PAY_PER_REQUEST",
            )
        except client.exceptions.ResourceInUseException:
            return  # another replica was quicker

    async def stop(self) -> None:
        self.layouts = {}
        stack, self._stack = self._stack, AsyncExitStack()
        await stack.aclose()
        self._wire = None

    def begin(
        self,
        *,
        write: bool,
        single: bool = False,  # noqa: ARG002 - there is nothing to keep for more
        deadline: float | None = None,  # noqa: ARG002 - the kernel ends a call at its deadline
        latest: bool = False,  # noqa: ARG002 - every read is strongly consistent
        isolation: Isolation = "serializable",  # noqa: ARG002 - to check less would save nothing but items
    ) -> DynamoTransaction:
        if not self.layouts:
            raise RuntimeError("the store is not open: start() it with its tables first")
        return DynamoTransaction(self, write)

    def health(self) -> str | None:
        return None if self.layouts else "the store is not open"

    def statistics(self) -> Mapping[str, float]:
        return {"commits": self.commits, "rollbacks": self.rollbacks, "conflicts": self.conflicts}
