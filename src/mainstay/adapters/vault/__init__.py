"""Secrets in HashiCorp Vault or OpenBao."""
