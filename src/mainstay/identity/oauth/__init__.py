"""OAuth 2.0 and OpenID Connect: other providers for our accounts, and our accounts for other services."""
