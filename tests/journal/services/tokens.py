"""What the services do with tokens: mint them and check them. Responses tell, like the tokens, which process it was."""

from __future__ import annotations

import json
import os

import jwt

KEY = "a-secret-key-of-at-least-thirty-two-bytes"


def login(jti: str) -> str:
    """The body of the response."""
    process = os.getpid()
    return json.dumps({"process": process, "token": jwt.encode({"jti": jti, "iss": str(process)}, KEY, "HS256")})


def orders(authorization: str) -> tuple[int, str]:
    """Status and body of the response."""
    try:
        jwt.decode(authorization.removeprefix("Bearer "), KEY, ["HS256"])
    except jwt.InvalidTokenError:
        status = 401
    else:
        status = 200
    return status, json.dumps({"process": os.getpid()})
