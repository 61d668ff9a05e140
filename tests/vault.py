"""Scenarios with tokens, and everything secret in them that must not be seen again."""

from __future__ import annotations

import base64
import logging
import socket
from collections.abc import Callable
from contextvars import Context
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from opentelemetry.instrumentation.pyjwt import current_token, record_revocation, record_scope_check
from tests.support import ISSUER, KEY, OTHER_KEY, claims

SUBJECT = "subject-alice-7f3a91"
PSEUDONYM_KEY = "pseudonym-key-of-these-tests"
_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = _RSA.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
PUBLIC = (
    _RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
)
JWK = {"kty": "oct", "alg": "HS256", "k": base64.urlsafe_b64encode(KEY.encode()).decode().rstrip("=")}

CLAIMS = {
    "sub": SUBJECT,
    "client_id": SUBJECT,
    "azp": SUBJECT,
    "act": {"sub": SUBJECT, "act": {"sub": SUBJECT}},
    "may_act": {"sub": SUBJECT},
    "profile": {"name": "Alice", "links": [{"sub": SUBJECT}, SUBJECT]},
    "groups": ["staff", SUBJECT],
    "email": SUBJECT,
    "scope": "read write",
}


class Vault:
    """Mints tokens and keeps everything that must not be seen again."""

    def __init__(self) -> None:
        self.minted = 0
        self.secrets = {KEY, OTHER_KEY, PSEUDONYM_KEY, JWK["k"], PRIVATE.splitlines()[5], PUBLIC.splitlines()[3]}

    def keep(self, token: str) -> str:
        self.secrets |= {token, *(part for part in token.split(".")[2:] if len(part) >= 8)}
        return token

    def mint(
        self, key: Any = KEY, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **changes: Any
    ) -> str:
        self.minted += 1
        given = claims(**{**CLAIMS, "jti": f"token-{self.minted}", **changes})
        # In a context of its own, as another service would: in one request, minted and used is one event.
        return self.keep(Context().run(jwt.encode, given, key, algorithm, headers=headers))


def use(token: Any, key: Any = KEY, algorithms: Any = ("HS256",), **kwargs: Any) -> None:
    """As an application does: whatever PyJWT raises ends here."""
    try:
        jwt.decode(token, key, algorithms, **kwargs)
    except Exception:
        logging.getLogger("application").info("refused")


def _tampered(vault: Vault) -> None:
    header, payload, signature = vault.mint().split(".")
    for token in (
        f"{header}.{payload}.{signature[::-1]}",
        f"{header}.{payload}.{signature}=",
        f"{header}.{payload[:-2]}.{signature}",
        f"{header}.{payload}.{signature}.{signature}",
        f"{header}.{signature}",
        f"Bearer {header}.{payload}.{signature}",
        f"{header}.{payload}.{signature}\ud800",
    ):
        use(vault.keep(token))


def _alg_none(vault: Vault) -> None:
    use(vault.mint(None, "none"))
    use(vault.mint(None, "none"), "", ["none"])


def _key_errors(vault: Vault) -> None:
    for key in (OTHER_KEY, PUBLIC, PRIVATE, None, 5, b"", {"k": KEY}, [KEY], "\ud800" + KEY):
        use(vault.mint(), key)
    use(vault.mint(), KEY, ["RS256"])
    use(vault.mint(PRIVATE, "RS256"), PRIVATE, ["RS256"])


def _key_unavailable(vault: Vault) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/jwks.json"
        client = jwt.PyJWKClient(url, timeout=5)
        for token in (vault.mint(headers={"kid": "k-1"}), vault.keep("no-token-at-all.but-a-secret")):
            with pytest.raises(jwt.PyJWTError):
                client.get_signing_key_from_jwt(token)


def _application_errors(vault: Vault) -> None:
    token = vault.mint()
    use(token, KEY, None)
    use(token, audience=5)
    use(token, options=[KEY])
    use([token])
    use({"token": token})
    for key in (5, PUBLIC):
        with pytest.raises((TypeError, jwt.PyJWTError)):
            jwt.encode({"sub": SUBJECT}, key, "HS256")


def _issued_and_used(vault: Vault) -> None:
    use(vault.mint())
    use(vault.mint(PRIVATE, "RS256"), PUBLIC, ["RS256"])
    use(vault.mint(), jwt.PyJWK.from_dict(JWK), None)
    use(vault.mint(), options={"verify_signature": False})
    use(vault.mint().encode())
    jwt.get_unverified_header(vault.mint())


def _scopes_and_revocation(vault: Vault) -> None:
    use(vault.mint())
    record_scope_check("admin")
    logging.getLogger("application").debug("%r %s", current_token(), current_token())
    record_revocation("token-1", reason="logout", issuer=ISSUER)


#: Each with events it must give, so that it is known to have happened.
SCENARIOS: dict[str, tuple[Callable[[Vault], None], set[str]]] = {
    "issued and used": (_issued_and_used, {"jwt.issued", "jwt.validated", "jwt.unverified"}),
    "tampered": (_tampered, {"jwt.rejected: invalid_signature", "jwt.rejected: malformed"}),
    "expired": (lambda vault: use(vault.mint(exp=1_000_000_000)), {"jwt.rejected: expired"}),
    "for somebody else": (
        lambda vault: use(vault.mint(aud="other"), audience="me"),
        {"jwt.rejected: invalid_audience"},
    ),
    "alg none": (_alg_none, {"jwt.rejected: invalid_algorithm", "jwt.rejected: invalid_signature"}),
    "key errors": (_key_errors, {"jwt.rejected: invalid_signature", "jwt.rejected: invalid_key"}),
    "key unavailable": (_key_unavailable, {"jwt.rejected: key_unavailable", "jwt.rejected: malformed"}),
    "application errors": (_application_errors, {"jwt.rejected: application_error"}),
    "scopes and revocation": (_scopes_and_revocation, {"jwt.denied", "jwt.revoked"}),
}
