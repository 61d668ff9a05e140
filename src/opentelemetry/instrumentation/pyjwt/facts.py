"""What is known of a token, as a value: without the token, and with nothing in it that could be misused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import semconv
from opentelemetry.instrumentation.pyjwt.bounds import Value, frozen


class TokenFacts:
    """What is known of one token: its claims and header parameters, under their attribute names.

    Attributes have the names of the ``jwt.*`` attributes without the prefix and are ``None`` when unknown.
    ``sub`` is plain here whatever the subject policy, for it stays in the process.
    """

    __slots__ = ("scopes", "shown", "sub", "token_use", "verified")

    # The attributes as events and spans show them. Shared: to be copied, not changed.
    shown: dict[str, Value]
    #: Scopes granted by the token, whole; ``None`` if it names none.
    scopes: tuple[str, ...] | None
    sub: str | None
    token_use: str | None
    #: Whether a checked signature covers the claims.
    verified: bool

    def __init__(
        self,
        shown: dict[str, Value],
        sub: str | None,
        scopes: tuple[str, ...] | None,
        token_use: str | None,
        verified: bool,
    ) -> None:
        store = object.__setattr__
        store(self, "shown", shown)
        store(self, "sub", sub)
        store(self, "scopes", scopes)
        store(self, "token_use", token_use)
        store(self, "verified", verified)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"TokenFacts is frozen: cannot set {name!r}")

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The ``jwt.*`` and ``user.*`` attributes, bounded, subjects as the policy has them."""
        return frozen(self.shown)

    def __getattr__(self, name: str) -> Any:
        attribute = _ATTRIBUTES.get(name)
        if attribute is None:
            raise AttributeError(f"TokenFacts has no attribute {name!r}")
        value = self.shown.get(attribute)
        return tuple(value) if isinstance(value, list) else value

    def __repr__(self) -> str:
        return f"TokenFacts(jti={self.jti!r}, iss={self.iss!r}, verified={self.verified})"


_ATTRIBUTES: Final = {
    "jti": semconv.JTI,
    "iss": semconv.ISS,
    "aud": semconv.AUD,
    "iat": semconv.IAT,
    "nbf": semconv.NBF,
    "exp": semconv.EXP,
    "client_id": semconv.CLIENT_ID,
    "sid": semconv.SID,
    "alg": semconv.ALG,
    "kid": semconv.KID,
    "typ": semconv.TYP,
    "act_sub": semconv.ACT_SUB,
    "cnf": semconv.CNF,
    "fingerprint": semconv.FINGERPRINT,
}
