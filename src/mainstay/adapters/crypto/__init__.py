"""Cryptography that is not tokens: sealed text, and the values of encrypted fields."""
