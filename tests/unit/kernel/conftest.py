"""What the tests of the kernel share."""

from __future__ import annotations

from kernel_world import build

__all__ = ["build"]
