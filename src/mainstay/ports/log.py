"""The log of a use case: structured, correlated with its call, and without secrets."""

from __future__ import annotations

from typing import Any

from mainstay.ports.observer import Notice, Observer


class Log:
    """What a use case writes for those who run the service: ``log.info("stock_low", "few pieces left", sku=sku)``.

    Each line carries the call's request id and operation.
    """

    __slots__ = ("_common", "_observer")

    def __init__(self, observer: Observer, common: dict[str, Any]) -> None:
        self._observer = observer
        self._common = common

    def _write(self, level: str, event: str, message: str, facts: dict[str, Any]) -> None:
        self._observer.observe(Notice(level, event, message or event, {**self._common, **facts}))

    def debug(self, event: str, message: str = "", /, **facts: Any) -> None:
        """Write for who looks for a fault."""
        self._write("debug", event, message, facts)

    def info(self, event: str, message: str = "", /, **facts: Any) -> None:
        """Write what is worth knowing."""
        self._write("info", event, message, facts)

    def warning(self, event: str, message: str = "", /, **facts: Any) -> None:
        """Write what may need a look."""
        self._write("warning", event, message, facts)

    def error(self, event: str, message: str = "", /, **facts: Any) -> None:
        """Write what needs mending."""
        self._write("error", event, message, facts)
