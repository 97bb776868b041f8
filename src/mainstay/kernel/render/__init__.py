"""Rendering: what a use case returned becomes a reply, without what the caller may not see."""

from mainstay.kernel.render.answers import bind_render
from mainstay.kernel.render.views import Look, View, Views

__all__ = ["Look", "View", "Views", "bind_render"]
