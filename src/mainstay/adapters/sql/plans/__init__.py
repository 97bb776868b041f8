"""Plans: how a database would run a statement, on the data that it has, and what to do where that is slow."""

from mainstay.adapters.sql.plans.advice import Advice
from mainstay.adapters.sql.plans.plan import Plan, Step
from mainstay.adapters.sql.plans.planner import Explained, Planner

__all__ = ["Advice", "Explained", "Plan", "Planner", "Step"]
