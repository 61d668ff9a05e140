"""Calls that PyJWT refuses: each with the reason it should be given, and the checks PyJWT makes until then.

Where PyJWT has come to check more over the years, ``since`` names the first version that does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.capture.forge import forged
from tests.support import ISSUER, KEY, OTHER_KEY, claims, mint

NOW = claims()["iat"]
PYJWT = tuple(int(part) for part in jwt.__version__.split(".")[:2])
PUBLIC_PEM = (
    ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


class Refused(jwt.InvalidTokenError):
    """An application's own reason."""


class RuleFirst(jwt.PyJWT):
    """An application's own rule, before PyJWT's checks of claims."""

    def _validate_claims(self, *args: Any, **kwargs: Any) -> None:
        raise Refused("not on Mondays")


class RuleLast(jwt.PyJWT):
    """An application's own rule, after PyJWT's checks of claims."""

    def _validate_claims(self, *args: Any, **kwargs: Any) -> None:
        super()._validate_claims(*args, **kwargs)
        raise Refused("not on Mondays")


class Failure(NamedTuple):
    """A token and a call that fail together; ``checks`` as words."""

    title: str
    reason: str
    token: Callable[[], object]
    checks: str = ""
    verified: bool = False
    key: object = KEY
    algorithms: list[str] | None = ["HS256"]  # noqa: RUF012  # never changed
    options: Any = None
    call: dict[str, Any] = {}  # noqa: RUF012  # never changed
    decoder: jwt.PyJWT | None = None
    since: tuple[int, int] = (2, 8)  # PyJWT that makes this check


def text(value: object) -> Callable[[], object]:
    """What was presented in place of a token."""
    return lambda: value


UNSIGNED = partial(mint, None, "none")
AUDIENCE = {"audience": "b"}
OTHER_ISSUER = {"issuer": "me"}
FAILURES = [
    # Claims, in the order in which PyJWT looks at them.
    Failure("a required claim is absent", "missing_claim", mint, "signature", True, options={"require": ["foo"]}),
    Failure("iat ahead", "not_yet_valid", partial(mint, iat=NOW + 900), "signature iat", True),
    Failure("iat no number", "invalid_claim", partial(mint, iat="soon"), "signature iat", True),
    Failure("iat a list", "invalid_claim", partial(mint, iat=[1]), "signature iat", True),
    Failure("nbf ahead", "not_yet_valid", partial(mint, nbf=NOW + 900), "signature nbf iat", True),
    Failure("nbf no number", "invalid_claim", partial(mint, nbf="soon"), "signature nbf iat", True),
    Failure("exp behind", "expired", partial(mint, exp=NOW - 900, nbf=NOW), "signature exp nbf iat", True),
    Failure("exp behind, no iat", "expired", partial(mint, exp=NOW - 900, iat=None), "signature exp", True),
    Failure("exp no number", "invalid_claim", partial(mint, exp="soon"), "signature exp iat", True),
    Failure("exp null", "invalid_claim", lambda: forged(None, {"exp": None}), "signature exp", True),
    Failure("exp infinite", "invalid_claim", partial(mint, exp=float("inf")), "signature exp iat", True),
    Failure("another issuer", "invalid_issuer", mint, "signature exp iat iss", True, call=OTHER_ISSUER),
    Failure("no issuer", "missing_claim", partial(mint, iss=None), "signature exp iat iss", True, call=OTHER_ISSUER),
    Failure(
        "another audience",
        "invalid_audience",
        partial(mint, aud="a"),
        "signature exp iat aud",
        True,
        call=AUDIENCE,
    ),
    Failure(
        "another audience, right issuer",
        "invalid_audience",
        partial(mint, aud=["a", "c"]),
        "signature exp iat aud iss",
        True,
        call={"audience": ["b"], "issuer": ISSUER},
    ),
    Failure("audience not asked for", "invalid_audience", partial(mint, aud="a"), "signature exp iat aud", True),
    Failure("no audience", "missing_claim", mint, "signature exp iat aud", True, call=AUDIENCE),
    Failure("sub no string", "invalid_subject", partial(mint, sub=7), "signature exp iat sub", True, since=(2, 10)),
    Failure("jti no string", "invalid_jti", partial(mint, jti=7), "signature exp iat sub jti", True, since=(2, 10)),
    Failure("its own rule first", "refused", mint, "signature", True, decoder=RuleFirst()),
    Failure("its own rule last", "refused", mint, "signature exp iat sub jti", True, decoder=RuleLast()),
    # The signature and the key.
    Failure("another key", "invalid_signature", mint, "signature", key=OTHER_KEY),
    Failure("changed payload", "invalid_signature", lambda: spliced(mint(), mint(sub="mallory")), "signature"),
    Failure("another algorithm", "invalid_algorithm", lambda: forged({"alg": "HS384"})),
    Failure("no algorithm", "invalid_algorithm", UNSIGNED),
    Failure("no algorithm in the header", "invalid_algorithm", lambda: forged({"typ": "JWT"})),
    Failure("an algorithm nobody knows", "invalid_algorithm", lambda: forged({"alg": "XX1"}), algorithms=["XX1"]),
    Failure(
        "no algorithm, allowed",
        "invalid_signature",
        UNSIGNED,
        "signature",
        key=None,
        algorithms=["none"],
    ),
    Failure("no algorithm, allowed, a key", "invalid_key", UNSIGNED, algorithms=["none"]),
    Failure("a public key as secret", "invalid_key", mint, key=PUBLIC_PEM),
    Failure(
        "a short key, by the rule",
        "invalid_key",
        lambda: forged(key="short"),
        key="short",
        options={"enforce_minimum_key_length": True},
        decoder=jwt.PyJWT({"enforce_minimum_key_length": True} if PYJWT >= (2, 11) else {}),
        since=(2, 11),
    ),
    # The shape.
    Failure("empty", "malformed", text("")),
    Failure("None", "malformed", text(None)),
    Failure("a number", "malformed", text(7)),
    Failure("a list", "malformed", text(["a"])),
    Failure("one segment", "malformed", text("a")),
    Failure("two segments", "malformed", text("a.b")),
    Failure("three dots", "malformed", text("...")),
    Failure("no base64", "malformed", text("a.b.c")),
    Failure("binary", "malformed", text(b"\xff\x00.\xfe.\x80")),
    Failure("a lone surrogate", "malformed", text("\ud800.a.b")),
    Failure("header no JSON", "malformed", lambda: forged(b"{")),
    Failure("header no object", "malformed", lambda: forged([])),
    Failure("payload no JSON", "malformed", lambda: forged(None, b"{"), "signature", True),
    Failure("payload no object", "malformed", lambda: forged(None, []), "signature", True),
    Failure("payload nested too deep", "malformed", lambda: forged(None, b"[" * 100_000), "signature", True),
    Failure("signature no base64", "malformed", lambda: mint() + "AA"),
    Failure("kid no string", "malformed", lambda: forged({"alg": "HS256", "kid": 7}), since=(2, 12)),
    Failure("crit unknown", "malformed", lambda: forged({"alg": "HS256", "crit": ["x"], "x": 1}), since=(2, 12)),
    Failure("crit empty", "malformed", lambda: forged({"alg": "HS256", "crit": []}), since=(2, 12)),
    # The call.
    Failure("no algorithms", "application_error", mint, algorithms=None),
    Failure("no algorithms for no token", "application_error", text("a.b"), algorithms=[]),
    Failure("a key of another type", "application_error", mint, key=7),
    Failure(
        "audience of another type", "application_error", partial(mint, aud="a"), "signature", True, call={"audience": 7}
    ),
    Failure("leeway of another type", "application_error", mint, "signature", True, call={"leeway": "5"}),
    Failure("options of another type", "application_error", mint, options=7),
]


def spliced(token: str, other: str) -> str:
    """The header and signature of one token around the payload of another."""
    header, _, signature = token.split(".")
    return ".".join((header, other.split(".")[1], signature))


def decode(failure: Failure, token: object, name: str = "decode") -> BaseException | None:
    """The error of the call, if there was one."""
    arguments = {"key": failure.key, "algorithms": failure.algorithms, "options": failure.options, **failure.call}
    try:
        getattr(failure.decoder or jwt.PyJWT(), name)(token, **arguments)
    except Exception as error:
        return error
    return None
