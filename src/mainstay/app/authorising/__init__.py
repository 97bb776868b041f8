"""Authorisation told: what a service's policies say of a caller, why they do, and what differs between two versions."""

from mainstay.app.authorising.delta import Difference, differences
from mainstay.app.authorising.explanation import Explanation, explain
from mainstay.app.authorising.matrix import Matrix, draw_matrix, subjects_of
from mainstay.app.authorising.stored import row_of

__all__ = ["Difference", "Explanation", "Matrix", "differences", "draw_matrix", "explain", "row_of", "subjects_of"]
