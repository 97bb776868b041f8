"""Cryptography that is not tokens: sealed text."""
