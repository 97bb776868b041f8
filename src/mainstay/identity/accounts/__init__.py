"""Accounts: signing up, passwords, second factors, roles, and what was done to them."""
