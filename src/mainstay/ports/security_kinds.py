"""The kinds of security events: the closed list of what may be noted, with what each one says."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "account.signed_up": "somebody made an account, or was told to make one",
        "account.address_taken": "somebody tried to sign up with the address of an account",
        "account.verified": "an address was shown to be its account's",
        "account.created": "an administrator made an account",
        "account.changed": "an account was changed by its owner",
        "account.locked": "an account was locked: it can log in no more, and its sessions have ended",
        "account.unlocked": "a locked account may log in again",
        "account.deletion_requested": "an account asked to be deleted",
        "account.deletion_withdrawn": "an account asked to be kept after all",
        "log_in.password": "a password was given to log in",
        "log_in.second_step": "a second factor was given to log in",
        "log_in.braked": "too many log-ins were tried, and this one was not looked at",
        "log_in.outside": "an account logged in with an outside provider",
        "password.changed": "an account changed its password",
        "password.reset_asked": "somebody asked for a letter to set a new password",
        "password.reset": "a new password was set with the code of a letter",
        "password.confirmed": "a password was given to confirm a change",
        "second_factor.added": "a second factor was added to an account",
        "second_factor.removed": "the second factor of an account was taken away",
        "second_factor.recovery_codes": "new recovery codes were made",
        "role.granted": "an account was given a role",
        "role.revoked": "a role was taken from an account",
        "session.opened": "a session was opened",
        "session.ended": "a session ended",
        "session.ended_all": "all sessions of an account ended",
        "session.refresh_reused": "a spent refresh token was used again: its session was ended",
        "api_key.created": "an API key was made",
        "api_key.revoked": "an API key was revoked",
        "api_key.used": "an API key was used",
        "signing_key.created": "a key that tokens are signed with was made",
        "signing_key.rotated": "tokens are signed with another key",
        "signing_key.retired": "a key that tokens were signed with counts no more",
        "oauth.client_created": "a client of the provider was made",
        "oauth.client_revoked": "a client of the provider was revoked",
        "oauth.client_token": "a client was given a token in its own name",
        "oauth.client_refused": "a client did not prove itself",
        "oauth.code_reuse": "an authorization code was used again: what it gave was revoked",
        "oauth.refresh_reuse": "a spent refresh token of a client was used again: what it was given for was revoked",
        "oauth.consent": "an account let a client act for it",
        "oauth.grant_ended": "what an account let a client do ended",
        "outside.linked": "an account was linked with one of an outside provider",
        "outside.unlinked": "an account was parted from one of an outside provider",
        "outside.refused": "a log-in with an outside provider was refused",
        "access.refused": "a known caller was refused what it asked for",
        "person.exported": "the data of a person was exported",
        "person.erased": "the data of a person was erased",
        "encryption.rotated": "encrypted fields were given a new key",
    }
)
"""Each kind with its meaning. ``SecurityLog.note`` takes no other."""
