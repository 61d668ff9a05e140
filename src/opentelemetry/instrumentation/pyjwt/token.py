"""Token facts: what may be known of a token once the token itself has been put away.

This is the only module that sees a raw token. Out of it come claims and header parameters, bounded and
escaped, and a fingerprint of header and payload where there is no jti; never the token, its signature or a
key. What no checked signature covers is marked unverified and never becomes a user.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable, Mapping
from json import loads  # bound now: an application may patch json.loads for itself
from typing import Any, Final

from opentelemetry.instrumentation.pyjwt import bounds, semconv
from opentelemetry.instrumentation.pyjwt.bounds import CUT, Value, as_int, as_text, as_texts, as_value
from opentelemetry.instrumentation.pyjwt.facts import TokenFacts

_logger = logging.getLogger(__name__)

# A longer token that failed before its payload was parsed is not parsed for the record: the work would be
# the attacker's to command. Its fingerprint and its verdict are recorded all the same.
PARSE_LIMIT: Final = 64 * 1024

# Tokens whose facts are kept, and how long such a token may be.
MEMO_LIMIT: Final = 1024
MEMO_TOKEN_LIMIT: Final = 8 * 1024

# RFC 9068 says at+jwt in the header; libraries say it in a claim, in these words.
_TOKEN_USES: Final = {
    "access": "access",
    "bearer": "access",
    "at+jwt": "access",
    "application/at+jwt": "access",
    "refresh": "refresh",
    "offline": "refresh",
    "id": "id",
}
_TOKEN_USE_CLAIMS: Final = ("token_use", "token_type", "type", "typ")
# RFC 8693 §4.2 names the first; the others are its common kin.
SCOPE_CLAIMS: Final = ("scope", "scp", "scopes", "permissions")

_STRING_CLAIMS: Final = (("jti", semconv.JTI), ("iss", semconv.ISS), ("sid", semconv.SID))
_TIME_CLAIMS: Final = (("exp", semconv.EXP), ("iat", semconv.IAT), ("nbf", semconv.NBF))
_HEADERS: Final = (("alg", semconv.ALG), ("kid", semconv.KID), ("typ", semconv.TYP))
# What an issuer may set to the subject's own value; further ones are seen to where they are read.
_REPEATING: Final = (semconv.JTI, semconv.ISS, semconv.SID, semconv.AUD, semconv.KID, semconv.SCOPE_GRANTED)
_NOTHING: Final[Mapping[str, Any]] = {}


class TokenReader:
    """Reads tokens under one policy.

    Args:
        subject: ``plain``, ``hmac`` or ``omit``.
        pseudonym_key: key of pseudonyms and fingerprints when subjects are not plain; ``None`` makes a
            random one, and warns that nothing can be correlated across processes.
        capture_claims: further claims to record.
        scope_claims: claims that hold the scopes granted; a dot leads into a claim that is an object.
        string_limit: longest string, in characters.
    """

    def __init__(
        self,
        *,
        subject: str = "plain",
        pseudonym_key: bytes | None = None,
        capture_claims: tuple[str, ...] = (),
        scope_claims: tuple[str, ...] = SCOPE_CLAIMS,
        string_limit: int = bounds.STRING_LIMIT,
    ) -> None:
        self._limit = string_limit
        self._claims = tuple((name, semconv.CLAIM_PREFIX + name) for name in capture_claims)
        self._scope_claims = scope_claims
        self._plain = subject == "plain"
        self._omit = subject == "omit"
        self._user = semconv.USER_ID if self._plain else semconv.USER_HASH
        self._key = b""
        if not self._plain:
            if pseudonym_key is None and subject == "hmac":
                _logger.warning(
                    "OTEL_PYTHON_PYJWT_SUBJECT is hmac, but OTEL_PYTHON_PYJWT_PSEUDONYM_KEY is not set: "
                    "a random key is used, and no pseudonym or fingerprint can be correlated across processes."
                )
            self._key = pseudonym_key or secrets.token_bytes(32)
        self.subject: Callable[[str], str | None] = (
            self._plain_subject if self._plain else _omitted if self._omit else self._keyed
        )

        self._memo: dict[int, tuple[Mapping[str, Any], Mapping[str, Any], TokenFacts]] = {}

    # --- ways in ------------------------------------------------------------------------------------------

    def read_verified(self, token: object, header: dict[str, Any], claims: dict[str, Any]) -> TokenFacts:
        """Facts of a token whose signature was checked.

        A token is presented again and again while it lives, so its facts are kept. They are found by a keyed
        hash of the token and used only if header and claims are equal too, so never for another token.
        """
        key = identity(token)
        known = self._memo.get(key)
        if known is not None and known[1] == claims and known[0] == header:
            return known[2]
        facts = self.read(token, header, claims, True)
        if isinstance(token, (str, bytes)) and len(token) <= MEMO_TOKEN_LIMIT:
            if len(self._memo) >= MEMO_LIMIT:
                self._memo.clear()
            # Copies: the application may do with its claims what it likes.
            self._memo[key] = (dict(header), dict(claims), facts)
        return facts

    def read(self, token: object, header: Mapping[str, Any], claims: Mapping[str, Any], verified: bool) -> TokenFacts:
        """Facts of a token whose header and claims PyJWT has parsed."""
        get = claims.get
        limit = self._limit
        attributes: dict[str, Value] = {}
        for claim, name in _STRING_CLAIMS:
            value = get(claim)
            if value is not None:
                if value.__class__ is str and 0 < len(value) <= limit and value.isprintable():
                    attributes[name] = value
                elif (safe := as_text(value, limit)) is not None:
                    attributes[name] = safe
        value = get("aud")
        if value is not None and (audience := as_texts(value, limit)):
            attributes[semconv.AUD] = audience
        for claim, name in _TIME_CLAIMS:
            value = get(claim)
            if value is not None and (seconds := as_int(value)) is not None:
                attributes[name] = seconds
        for parameter, name in _HEADERS:
            value = header.get(parameter)
            if value is not None:
                if value.__class__ is str and 0 < len(value) <= limit and value.isprintable():
                    attributes[name] = value
                elif (safe := as_text(value, limit)) is not None:
                    attributes[name] = safe
        sub = get("sub")
        if sub is not None and (sub := sub if sub.__class__ is str else as_text(sub)):
            shown = self.subject(sub)
            if shown is not None:
                attributes[semconv.SUB] = shown
                if verified:
                    attributes[self._user] = shown
        self._delegation(attributes, claims, sub)
        added = get("extras")  # where Litestar keeps the claims that an application adds
        named = {**added, **claims} if added.__class__ is dict else claims
        scopes = _granted(named, self._scope_claims)
        if scopes:
            attributes[semconv.SCOPE_GRANTED] = as_texts(scopes, limit)
        token_use = _token_use(named, header)
        if token_use is not None:
            attributes[semconv.TOKEN_USE] = token_use
        if self._claims:
            self._captured(attributes, claims, sub)
        if sub and not self._plain:
            self._conceal(attributes, sub)
        jti = attributes.get(semconv.JTI)
        if (jti is None or jti[-1] == CUT) and (identity := self._fingerprint(token)) is not None:  # type: ignore[index]  # a str
            attributes[semconv.FINGERPRINT] = identity
        attributes[semconv.VERIFIED] = verified
        return TokenFacts(attributes, sub or None, scopes, token_use, verified)

    def read_raw(self, token: object, verified: bool = False) -> TokenFacts:
        """Facts of a token that failed before anyone parsed it: whatever can be read, unverified as a rule."""
        header, claims = _parse(token)
        return self.read(token, header, claims, verified)

    def read_minted(self, token: object, given: Mapping[str, Any]) -> TokenFacts:
        """Facts of a token the service has just minted, from the token, or else from the claims ``given``.

        A subclass of ``PyJWT`` may have encoded the payload in its own way; then only those claims are readable.
        """
        header, claims = _parse(token, limit=None)
        return self.read(token, header, claims or given, header.get("alg") != "none")

    # --- parts ----------------------------------------------------------------------------------------------

    def _plain_subject(self, sub: str) -> str | None:
        return as_text(sub, self._limit)

    def _keyed(self, sub: str) -> str | None:
        return hmac.new(self._key, sub.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]

    def _not_the_subject(self, value: object, sub: str | None) -> str | None:
        """``value`` as text, unless it is the subject again under another name: then as the policy has it."""
        return self.subject(sub) if sub is not None and value == sub else as_text(value, self._limit)

    def _delegation(self, attributes: dict[str, Value], claims: Mapping[str, Any], sub: str | None) -> None:
        """Who holds the token besides its subject: the client, the actor, the bound key."""
        client = claims.get("client_id") or claims.get("azp")
        if client and (shown := self._not_the_subject(client, sub)) is not None:
            attributes[semconv.CLIENT_ID] = shown
        actor = claims.get("act")
        if (
            actor.__class__ is dict
            and (name := as_text(actor.get("sub"))) is not None
            and (shown := self.subject(name)) is not None
        ):
            attributes[semconv.ACT_SUB] = shown
        bound = claims.get("cnf")
        if (
            bound.__class__ is dict
            and (thumbprint := as_text(bound.get("jkt") or bound.get("x5t#S256"), self._limit)) is not None
        ):
            attributes[semconv.CNF] = thumbprint

    def _conceal(self, attributes: dict[str, Value], sub: str) -> None:
        """The subject under another name is one all the same: a client's assertion has it as issuer (RFC 7523 §3)."""
        plain, shown = as_text(sub, self._limit), self.subject(sub)
        for name in _REPEATING:
            value = attributes.get(name)
            if value == plain:
                replaced: Value | None = shown
            elif isinstance(value, list) and plain in value:
                items = (shown if item == plain else item for item in value)
                replaced = [item for item in items if item is not None] or None
            else:
                continue
            if replaced is None:
                del attributes[name]
            else:
                attributes[name] = replaced

    def _captured(self, attributes: dict[str, Value], claims: Mapping[str, Any], sub: str | None) -> None:
        for claim, name in self._claims:
            value = claims.get(claim)
            if value is None:
                continue
            if not self._plain:
                value = self._pseudonymised(value, sub, claim == "sub")
            if (safe := as_value(value, self._limit)) is not None:
                attributes[name] = safe

    def _pseudonymised(self, value: object, sub: str | None, is_subject: bool, depth: int = 0) -> object:
        """``value`` with each subject in it replaced: any ``sub`` member, and the token's own subject anywhere."""
        if isinstance(value, dict) and depth < 8:
            return {
                name: self._pseudonymised(item, sub, name == "sub", depth + 1)
                for name, item in list(value.items())[: bounds.LIST_LIMIT]
            }
        if isinstance(value, list) and depth < 8:
            return [self._pseudonymised(item, sub, is_subject, depth + 1) for item in value[: bounds.LIST_LIMIT]]
        if isinstance(value, (dict, list)):
            return f"<{type(value).__name__}>"
        if is_subject or (sub is not None and value == sub):
            return self.subject(str(value))
        return value

    def _fingerprint(self, token: object) -> str | None:
        """Identity of the token by what its signature covers (RFC 7515 §5.1), for the signature itself has many
        spellings; ``None`` if it has no such parts."""
        raw = _as_bytes(token)
        if raw is None or raw.count(b".") < 2:
            return None
        signed = raw.rpartition(b".")[0]
        if self._key:
            return hmac.new(self._key, signed, hashlib.sha256).hexdigest()[:32]
        return hashlib.sha256(signed).hexdigest()[:32]


def identity(token: object) -> int:
    """A number that stands for this very token within this process: keyed, and no way back (PEP 456)."""
    try:
        return hash(token)
    except Exception:  # unhashable, so no token to PyJWT either: all of a kind are one
        return hash(type(token))


def _omitted(sub: str) -> None:
    """Subjects leave no trace."""


def _as_bytes(token: object) -> bytes | None:
    if isinstance(token, str):
        return token.encode("utf-8", "surrogatepass")
    return token if isinstance(token, bytes) else None


def _parse(token: object, limit: int | None = PARSE_LIMIT) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims, each empty if it cannot be read (RFC 7515 §7.1)."""
    raw = _as_bytes(token)
    if raw is None or (limit is not None and len(raw) > limit):
        return _NOTHING, _NOTHING
    parts = raw.split(b".", 2)
    if len(parts) != 3:
        return _NOTHING, _NOTHING
    return _segment(parts[0]), _segment(parts[1])


def _segment(part: bytes) -> Mapping[str, Any]:
    try:
        value = loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
    except (ValueError, RecursionError, binascii.Error):
        return _NOTHING
    return value if isinstance(value, dict) else _NOTHING


def _granted(claims: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, ...] | None:
    """Scopes in the order of the claims that hold them."""
    found: dict[str, None] | None = None
    for name in names:
        value = claims.get(name)
        if value is None and "." in name:
            value = _within(claims, name)
        if value is None:
            continue
        if found is None:
            found = {}
        if isinstance(value, str):
            found.update(dict.fromkeys(value.split()))
        elif isinstance(value, (list, tuple)):
            found.update(dict.fromkeys(item for item in value if isinstance(item, str) and item))
    return None if found is None else tuple(found)


def _within(claims: Any, path: str) -> Any:
    """What stands in an object within the claims, such as Keycloak's ``realm_access.roles``."""
    for name in path.split("."):
        claims = claims.get(name) if isinstance(claims, dict) else None
    return claims


def _token_use(claims: Mapping[str, Any], header: Mapping[str, Any]) -> str | None:
    for claim in _TOKEN_USE_CLAIMS:
        value = claims.get(claim)
        if value.__class__ is str and (use := _TOKEN_USES.get(value.lower())) is not None:
            return use
    typ = header.get("typ")
    return _TOKEN_USES.get(typ.lower()) if typ.__class__ is str else None
