"""Generated rows in any number, for trying a service at the size that it will have."""

from mainstay.app.volume.filling import Filled, Wanted, fill

__all__ = ["Filled", "Wanted", "fill"]
