"""Proving a rollout: two versions of a service on one database, under load, through the steps of their migrations.

Nothing of the team's code is imported here: both versions are processes of ``mainstay``, as whoever deploys runs them.
"""
