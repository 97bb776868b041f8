"""What ``aws-sm://`` references need: the region, or what stands in for the service."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mainstay.adapters.aws.secrets import SecretsManagerSecrets
from mainstay.app.settings.outside import SecretsFrom
from mainstay.ports.secrets import SecretSource


def make(
    told: SecretsFrom,
    root: Path,  # noqa: ARG001 - the form of a factory
    environ: Mapping[str, str],  # noqa: ARG001
) -> SecretSource:
    """``aws-sm://name#key``."""
    return SecretsManagerSecrets(seconds=told.seconds, region=told.aws.region, endpoint=told.aws.endpoint)
