"""What an audit must say of a token: attributes that must be there, beside some that must not.

``None``: the attribute must be absent; a set: its items in any order; a function: must hold of its value.
"""

from __future__ import annotations

from typing import Any

import jwt

from tests.support import ISSUER

Expected = dict[str, Any]

# PyJWT checks the types of these two since 2.10.
TYPED = {"sub", "jti"} if hasattr(jwt.exceptions, "InvalidSubjectError") else set()
ALL = {"signature", "exp", "iat"} | TYPED
UP_TO_EXP = {"signature", "iat", "exp"}
UP_TO_SIGNATURE = {"signature"}


def positive(value: Any) -> bool:
    return value > 0


def negative(value: Any) -> bool:
    return value < 0


def _presented(event: str, outcome: str, verified: bool, checks: set[str] | None, **more: Any) -> Expected:
    return {
        "event": event,
        "jwt.validation.outcome": outcome,
        "jwt.validation.reason": None,
        "jwt.validation.checks": checks,
        "jwt.verified": verified,
        "jwt.jti": "token-1",
        "jwt.sub": "alice",
        "jwt.iss": ISSUER,
        "user.id": "alice" if verified else None,
        "jwt.expires_in": positive,
        "jwt.scope.outcome": None,
        "jwt.parent.jti": None,
        **more,
    }


def validated(checks: set[str] | None = ALL, **more: Any) -> Expected:
    return _presented("jwt.validated", "valid", True, checks, **more)


def denied(**more: Any) -> Expected:
    return _presented("jwt.denied", "valid", True, ALL, **more)


def rejected(reason: str, checks: set[str] | None, *, verified: bool = True, **more: Any) -> Expected:
    return _presented("jwt.rejected", "invalid", verified, checks, **{"jwt.validation.reason": reason, **more})


def unverified(**more: Any) -> Expected:
    return _presented("jwt.unverified", "unverified", False, None, **more)


# --- Scopes, to go with one of the above ---------------------------------------------------------------------------


def sufficient(required: set[str], granted: set[str] | None = None) -> Expected:
    return {
        "jwt.scope.required": required,
        "jwt.scope.granted": granted or required,
        "jwt.scope.missing": None,
        "jwt.scope.outcome": "sufficient",
    }


def insufficient(required: set[str], granted: set[str] | None, missing: set[str]) -> Expected:
    return {
        "jwt.scope.required": required,
        "jwt.scope.granted": granted,
        "jwt.scope.missing": missing,
        "jwt.scope.outcome": "insufficient",
    }


NOTHING_REQUIRED = dict.fromkeys(("jwt.scope.required", "jwt.scope.missing", "jwt.scope.outcome"))


# --- Tokens minted and revoked ---------------------------------------------------------------------------------------


def issued(jti: str, parent: str | None = None) -> Expected:
    return {
        "event": "jwt.refreshed" if parent else "jwt.issued",
        "jwt.jti": jti,
        "jwt.parent.jti": parent,
        "jwt.sub": "alice",
        "jwt.validation.outcome": None,
        "jwt.validation.reason": None,
        "jwt.validation.checks": None,
    }


def revoked(jti: str, actor: str, reason: str | None = None) -> Expected:
    return {
        "event": "jwt.revoked",
        "jwt.jti": jti,
        "jwt.revocation.reason": reason,
        "audit.actor.id": actor,
        "jwt.validation.outcome": None,
        "jwt.verified": None,
    }
