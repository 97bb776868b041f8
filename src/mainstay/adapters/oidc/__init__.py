"""OpenID Connect as its relying side: issuers that are trusted by their URL, and the keys that they publish."""
