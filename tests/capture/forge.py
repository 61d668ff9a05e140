"""Tokens that ``jwt.encode`` would not make, signed with the tests' key all the same."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from tests.support import KEY, claims


def segment(data: bytes) -> bytes:
    """Base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def forged(header: Any = None, payload: Any = None, *, key: str = KEY) -> str:
    """An HS256 token of this header and payload: each given as JSON, or as bytes that are taken as they are."""
    header = {"typ": "JWT", "alg": "HS256"} if header is None else header
    payload = claims() if payload is None else payload
    parts = [segment(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (header, payload)]
    signed = b".".join(parts)
    return (signed + b"." + segment(hmac.new(key.encode(), signed, hashlib.sha256).digest())).decode()
