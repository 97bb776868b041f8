"""The public face: every name that a team imports from ``mainstay``, and where it comes from."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mainstay.model.caching import Caching, cache
from mainstay.model.call_policies import attribute, between, claim, delegated, network, protocol
from mainstay.model.certificates import certificate
from mainstay.model.circumstances import Circumstances
from mainstay.model.conditions import all_of, any_of, contains, ge, gt, in_, le, lt, ne, not_, search, starts_with
from mainstay.model.fields import field, header, related
from mainstay.model.inputs import (
    File,
    Find,
    Many,
    One,
    Page,
    Patch,
    RawBody,
    RawForm,
    Sort,
    Stream,
    Upload,
    resume_after,
)
from mainstay.model.limits import Limit, limit
from mainstay.model.module import Module
from mainstay.model.operation import signed
from mainstay.model.personal import person
from mainstay.model.policy import Policy, anyone, authenticated, check, owner, role, scope, where
from mainstay.model.principal import Principal
from mainstay.model.problem import (
    Conflict,
    Fault,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    PreconditionFailed,
    Problem,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from mainstay.model.redirects import RedirectRefused, RedirectTargets
from mainstay.model.service import Service
from mainstay.model.signature_schemes import GitHub, SignatureScheme, Slack, StandardWebhooks, Stripe
from mainstay.model.structs import Dto, Entity, Event
from mainstay.model.tenancy import tenancy
from mainstay.model.values import UNASSIGNED, Email, Secret, Url
from mainstay.model.versions import Version
from mainstay.ports.aggregates import Aggregates, avg_of, count_of, max_of, min_of, sum_of
from mainstay.ports.ask import Ask
from mainstay.ports.audit import AuditEntry, AuditTrail
from mainstay.ports.auditing import Altered, AuditAction
from mainstay.ports.blobs import Blob, Blobs
from mainstay.ports.bulk import Bulk
from mainstay.ports.cache import Cache
from mainstay.ports.clock import Clock
from mainstay.ports.deleted import Deleted
from mainstay.ports.events import Events
from mainstay.ports.http import HttpClient
from mainstay.ports.ids import Ids
from mainstay.ports.leaderboard import Leaderboard, ScoreOutOfRange, Standing
from mainstay.ports.log import Log
from mainstay.ports.mail import Letter, Mailer
from mainstay.ports.origin import Origin
from mainstay.ports.read_ahead import ReadAhead
from mainstay.ports.repository import Repository
from mainstay.ports.security_log import SecurityEvent, SecurityLog
from mainstay.ports.signals import Signals
from mainstay.ports.unit_of_work import UnitOfWork
from mainstay.ports.upserts import Upserted

if TYPE_CHECKING:
    from mainstay.identity import AuthorizationServer, Identity, Provider
    from mainstay.webhooks import Webhooks
else:

    def __getattr__(name: str) -> Any:
        """Fetch what only services with accounts, or with webhooks, name (PEP 562)."""
        if name in ("AuthorizationServer", "Identity", "Provider"):
            return getattr(import_module("mainstay.identity"), name)
        if name == "Webhooks":
            return import_module("mainstay.webhooks").Webhooks
        raise AttributeError(f"module 'mainstay.face' has no attribute {name!r}")


__all__ = [
    "UNASSIGNED",
    "Aggregates",
    "Altered",
    "Ask",
    "AuditAction",
    "AuditEntry",
    "AuditTrail",
    "AuthorizationServer",
    "Blob",
    "Blobs",
    "Bulk",
    "Cache",
    "Caching",
    "Circumstances",
    "Clock",
    "Conflict",
    "Deleted",
    "Dto",
    "Email",
    "Entity",
    "Event",
    "Events",
    "Fault",
    "File",
    "Find",
    "Forbidden",
    "GitHub",
    "Gone",
    "HttpClient",
    "Identity",
    "Ids",
    "Invalid",
    "Leaderboard",
    "Letter",
    "Limit",
    "Log",
    "Mailer",
    "Many",
    "Module",
    "NotFound",
    "One",
    "Origin",
    "Page",
    "Patch",
    "Policy",
    "PreconditionFailed",
    "Principal",
    "Problem",
    "Provider",
    "RawBody",
    "RawForm",
    "ReadAhead",
    "RedirectRefused",
    "RedirectTargets",
    "Repository",
    "ScoreOutOfRange",
    "Secret",
    "SecurityEvent",
    "SecurityLog",
    "Service",
    "Signals",
    "SignatureScheme",
    "Slack",
    "Sort",
    "StandardWebhooks",
    "Standing",
    "Stream",
    "Stripe",
    "TooMany",
    "Unauthenticated",
    "Unavailable",
    "UnitOfWork",
    "Upload",
    "Upserted",
    "Url",
    "Version",
    "Webhooks",
    "all_of",
    "any_of",
    "anyone",
    "attribute",
    "authenticated",
    "avg_of",
    "between",
    "cache",
    "certificate",
    "check",
    "claim",
    "contains",
    "count_of",
    "delegated",
    "field",
    "ge",
    "gt",
    "header",
    "in_",
    "le",
    "limit",
    "lt",
    "max_of",
    "min_of",
    "ne",
    "network",
    "not_",
    "owner",
    "person",
    "protocol",
    "related",
    "resume_after",
    "role",
    "scope",
    "search",
    "signed",
    "starts_with",
    "sum_of",
    "tenancy",
    "where",
]
