"""A small shop: an ordinary FastAPI service that signs and checks its own tokens with PyJWT.

There is no line about telemetry in it. It has one bug, as services do: see ``greeting``.
"""

from __future__ import annotations

import os
import secrets
import time
import uuid
from dataclasses import dataclass
from typing import Annotated, Any

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from fastapi import FastAPI, HTTPException, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from jwt.algorithms import RSAAlgorithm
from pydantic import BaseModel

ISSUER = "https://shop.example"
AUDIENCE = "shop"
KEY_ID = "2026-11"
REFRESH_SECONDS = 14 * 24 * 3600
SIGNING_KEY = load_pem_private_key(os.environ["SHOP_SIGNING_KEY"].encode(), password=None)
PUBLIC_KEY = SIGNING_KEY.public_key()
PASSWORD = os.environ["SHOP_PASSWORD"]  # everybody's, for it is a demo


@dataclass(frozen=True)
class Account:
    scopes: str
    access_seconds: int = 15 * 60


ACCOUNTS = {
    "alice": Account("orders:read orders:write"),
    "bob": Account("orders:read"),
    "kiosk": Account("orders:read", access_seconds=1),  # a screen in the hall, which forgets its user at once
}
ORDERS = [{"id": 1, "item": "tea"}]

app = FastAPI(title="Shop")
Bearer = Annotated[HTTPAuthorizationCredentials, Security(HTTPBearer())]


class Login(BaseModel):
    user: str
    password: str


class Refresh(BaseModel):
    refresh_token: str


class Order(BaseModel):
    item: str


class Tokens(BaseModel):
    access_token: str
    refresh_token: str | None = None
    token_type: str = "bearer"
    expires_in: int


# --- tokens -----------------------------------------------------------------------------------------------


def mint(user: str, use: str, seconds: int) -> str:
    now = int(time.time())
    claims = {
        "jti": str(uuid.uuid4()),
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": user,
        "iat": now,
        "exp": now + seconds,
        "token_use": use,
    }
    if use == "access":
        claims["scope"] = ACCOUNTS[user].scopes
    return jwt.encode(claims, SIGNING_KEY, algorithm="RS256", headers={"kid": KEY_ID})


def check(token: str, use: str) -> dict[str, Any]:
    """The claims of a good token of that kind, or 401."""
    try:
        claims = jwt.decode(token, PUBLIC_KEY, algorithms=["RS256"], audience=AUDIENCE, issuer=ISSUER)
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "Invalid token") from error
    if claims["token_use"] != use:
        raise HTTPException(401, f"Not a token for {use}")
    return claims


def current_user(bearer: Bearer, required: SecurityScopes) -> str:
    claims = check(bearer.credentials, "access")
    granted = claims["scope"].split()
    if not all(scope in granted for scope in required.scopes):
        raise HTTPException(403, "Not allowed")
    return claims["sub"]


# --- endpoints --------------------------------------------------------------------------------------------


@app.get("/.well-known/jwks.json")
def keys() -> dict[str, Any]:
    return {"keys": [{**RSAAlgorithm.to_jwk(PUBLIC_KEY, as_dict=True), "kid": KEY_ID, "use": "sig"}]}


@app.post("/login")
def login(given: Login) -> Tokens:
    account = ACCOUNTS.get(given.user)
    if account is None or not secrets.compare_digest(given.password, PASSWORD):
        raise HTTPException(401, "Wrong user or password")
    return Tokens(
        access_token=mint(given.user, "access", account.access_seconds),
        refresh_token=mint(given.user, "refresh", REFRESH_SECONDS),
        expires_in=account.access_seconds,
    )


@app.post("/refresh")
def refresh(given: Refresh) -> Tokens:
    user = check(given.refresh_token, "refresh")["sub"]
    seconds = ACCOUNTS[user].access_seconds
    return Tokens(access_token=mint(user, "access", seconds), expires_in=seconds)


@app.get("/orders")
def list_orders(user: Annotated[str, Security(current_user, scopes=["orders:read"])]) -> list[dict[str, Any]]:
    return ORDERS


@app.post("/orders", status_code=201)
def add_order(order: Order, user: Annotated[str, Security(current_user, scopes=["orders:write"])]) -> dict[str, Any]:
    return {"id": len(ORDERS) + 1, "item": order.item, "for": user}


@app.get("/admin")
def admin(user: Annotated[str, Security(current_user, scopes=["admin"])]) -> dict[str, Any]:
    return {"accounts": list(ACCOUNTS)}


@app.get("/greeting")
def greeting(bearer: Bearer) -> dict[str, str]:
    # The bug: the name is only for show, thought the author, and nobody checked who says so.
    claims = jwt.decode(bearer.credentials, options={"verify_signature": False})
    return {"greeting": f"Good morning, {claims['sub']}!"}
