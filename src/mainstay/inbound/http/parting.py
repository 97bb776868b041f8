"""That a process is about to leave, for whoever must end what has no end of its own: streams, and those who wait."""

from __future__ import annotations

from collections.abc import Callable


class Parting:
    """Begins once, when no further connection is taken: whoever comes back is served by another process."""

    __slots__ = ("_listeners", "begun")

    def __init__(self) -> None:
        self.begun = False
        self._listeners: dict[object, Callable[[], None]] = {}

    def listen(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have ``callback`` called when it begins, or now if it has. Returns what ends the listening."""
        if self.begun:
            callback()
            return lambda: None
        key = object()
        self._listeners[key] = callback
        return lambda: self._drop(key)

    def _drop(self, key: object) -> None:
        self._listeners.pop(key, None)

    def begin(self) -> None:
        """Tell all listeners, once."""
        self.begun = True
        listeners, self._listeners = self._listeners, {}
        for callback in listeners.values():
            callback()
