"""One whole story of an account on the database servers, and commands of accounts that meet each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from accounts_service import ADMIN, ANN, OTHER_PASSWORD, NotedSessions, Person, shop, signed_up
from mysql_databases import drop_databases
from postgres_schemas import SchemaStore, drop_schemas

from mainstay.identity.accounts.entities import Account
from mainstay.ports.security_log import SecurityRecord
from mainstay.testing import Client, FixedClock
