"""Explaining an operation: it is called once, nothing of it is kept, and its statements are told with their plans."""

from mainstay.app.explaining.report import Explanation, Reading, facts_of, text_of
from mainstay.app.explaining.run import Asked, explain

__all__ = ["Asked", "Explanation", "Reading", "explain", "facts_of", "text_of"]
