"""Litestar's JWT backends: what each of them, and what an application makes of them, decides about one token."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import jwt
import pytest
from litestar.exceptions import NotAuthorizedException
from litestar.security.jwt import JWTAuthenticationMiddleware, Token

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.integrations import drivers
from tests.integrations.in_short import Told, issued, rejected, told, validated
from tests.integrations.litestar.service import AUDIENCE, HEADER, Service
from tests.support import KEY, OTHER_KEY, Trail, mint


def presented(service: Service, trail: Trail, path: str, **token: str) -> list[Told]:
    """What is told when this token is presented there."""
    ((name, _),) = token.items()
    service.keep(**token)
    trail.clear()
    service.get(path, name)
    return told(trail)


def good(**changes: Any) -> str:
    return mint(**{"aud": AUDIENCE, "jti": "good", "extras": {"token_use": "access"}, **changes})


def test_no_list_was_asked_where_there_is_none(trail: Trail) -> None:
    service = Service(HEADER, blocklist=False)
    assert presented(service, trail, "/items/7", good=good()) == [validated("good", asked=False)]
    assert presented(service, trail, "/items/7", nobody=good(sub="nobody")) == [rejected("refused", "good")]


def test_a_token_without_jti_is_known_by_its_fingerprint(trail: Trail) -> None:
    service = Service(HEADER)
    token = good(jti=None)
    service.revoked.add(None)  # type: ignore[arg-type]
    assert presented(service, trail, "/items/7", good=token) == [
        rejected("revoked", "good", asked=True)._replace(jti=None)
    ]
    (event,) = trail.events
    service.revoked.clear()
    assert presented(service, trail, "/items/7", good=token) == [validated("good")._replace(jti=None)]
    assert trail.events[0]["jwt.fingerprint"] == event["jwt.fingerprint"]


def test_expiry_that_pyjwt_does_not_check_the_token_class_does(trail: Trail) -> None:
    service = Service(HEADER, verify_expiry=False)
    expired = good(exp=int(time.time()) - 60)
    assert presented(service, trail, "/items/7", good=expired) == [rejected("invalid_claim", "good")]


@pytest.mark.parametrize("broken", ["revoked_token_handler", "retrieve_user_handler"])
def test_a_handler_that_breaks_refuses_nothing(broken: str, trail: Trail) -> None:
    async def handler(token: Token, connection: Any) -> bool:
        raise ArithmeticError

    service = Service(HEADER, blocklist=False, **{broken: handler})
    assert presented(service, trail, "/items/7", good=good()) == [validated("good", asked=False)]
    assert trail.events[0]["http.response.status_code"] == 500


class Cautious(JWTAuthenticationMiddleware):
    """A subclass with a say of its own, which calls the library's as a function of the class."""

    async def authenticate_token(self, encoded_token: str, connection: Any) -> Any:
        if encoded_token.count(".") != 2:
            raise NotAuthorizedException
        return await JWTAuthenticationMiddleware.authenticate_token(self, encoded_token, connection)


def test_middleware_of_the_applications_own(trail: Trail) -> None:
    service = Service(HEADER, authentication_middleware_class=Cautious)
    assert presented(service, trail, "/items/7", good=good()) == [validated("good")]
    service.revoked.add("good")
    assert presented(service, trail, "/items/7", good=good()) == [rejected("revoked", "good", asked=True)]
    assert presented(service, trail, "/items/7", good="no-token") == []


@dataclass
class Tenant(Token):
    """A token class that requires a claim more, and checks something else."""

    tenant: str = field(kw_only=True)

    @classmethod
    def decode_payload(cls, *args: Any, **kwargs: Any) -> Any:
        payload = super().decode_payload(*args, **kwargs)
        if payload.get("tenant") == "closed":
            raise NotAuthorizedException("closed")
        return payload


@pytest.mark.parametrize(
    ("tenant", "expected"),
    [
        ("open", validated("good")),
        ("closed", rejected("refused", "good")),
        (None, rejected("missing_claim", "good")),
        (["open"], rejected("invalid_claim", "good")),
    ],
)
def test_token_class_of_the_applications_own(tenant: Any, expected: Told, trail: Trail) -> None:
    service = Service(HEADER, token_cls=Tenant)
    assert presented(service, trail, "/items/7", good=good(tenant=tenant)) == [expected]


def test_answers_are_told_of_the_request_they_were_given_in(trail: Trail) -> None:
    """One middleware serves many requests at once: each has its own answer, and a subclass its own handlers."""
    seen: list[bool] = []
    both = asyncio.Event()

    class Slow(JWTAuthenticationMiddleware):
        async def authenticate_token(self, encoded_token: str, connection: Any) -> Any:
            before = self.retrieve_user_handler, self.revoked_token_handler
            try:
                return await super().authenticate_token(encoded_token, connection)
            finally:
                seen.append((self.retrieve_user_handler, self.revoked_token_handler) == before)

    async def is_revoked(token: Token, connection: Any) -> bool:
        waiting.append(token)
        if len(waiting) == 2:
            both.set()
        await both.wait()
        return token.jti == "revoked"

    async def serve(service: Service) -> list[drivers.Answer]:
        headers = [{"authorization": f"Bearer {good(jti=jti)}"} for jti in ("revoked", "good")]
        trail.clear()
        return await asyncio.gather(*(drivers.asgi_async(service.app, headers=one) for one in headers))

    waiting: list[Token] = []
    options = {"authentication_middleware_class": Slow, "revoked_token_handler": is_revoked}
    answers = asyncio.run(serve(Service(HEADER, blocklist=False, **options)))
    assert [answer.status for answer in answers] == [410, 200]
    assert sorted(told(trail)) == [rejected("revoked", "revoked", asked=True), validated("good")]
    assert seen == [True, True]


def test_outside_any_request(trail: Trail) -> None:
    token = Token(
        exp=datetime.now(timezone.utc) + timedelta(minutes=5), sub="alice", jti="good", extras={"token_use": "access"}
    ).encode(KEY, "HS256")
    assert Token.decode(token, KEY, "HS256").sub == "alice"
    with pytest.raises(NotAuthorizedException) as caught:
        Token.decode(token, OTHER_KEY, "HS256")
    assert isinstance(caught.value.__cause__, jwt.InvalidSignatureError)
    assert told(trail) == [
        issued("good")._replace(use="access"),
        validated("good", asked=False),
        rejected("invalid_signature", "good", verified=False),
    ]


def test_nothing_is_told_once_it_is_switched_off(trail: Trail) -> None:
    decode, authenticate = Token.decode.__func__.__code__, JWTAuthenticationMiddleware.authenticate_token  # type: ignore[attr-defined]
    PyJWTInstrumentor().uninstrument()
    assert Token.decode.__func__.__code__ is not decode  # type: ignore[attr-defined]
    assert JWTAuthenticationMiddleware.authenticate_token is not authenticate
    service = Service(HEADER)
    assert service.get("/login", None) == 200
    assert service.get("/items/7", "refresh-1") == 410
    assert told(trail) == []
