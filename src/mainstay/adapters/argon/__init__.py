"""Passwords by Argon2id (RFC 9106), and the lists of those that everybody tries first."""
