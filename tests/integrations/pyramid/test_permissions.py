"""Pyramid: the security policy's answer where a view's permission is required is what is recorded as a scope."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from pyramid.authentication import CallbackAuthenticationPolicy
from pyramid.authorization import ACLAuthorizationPolicy, ACLHelper, Allow, Everyone
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.security import NO_PERMISSION_REQUIRED, Allowed, Denied, view_execution_permitted

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.integrations.checks import check_events, check_no_span, check_span
from tests.integrations.drivers import PATH, Answer, wsgi
from tests.integrations.expectations import ALL, UP_TO_EXP, denied, negative, rejected, validated
from tests.integrations.pyramid.app import ROUTE, configured
from tests.integrations.steps import verify
from tests.support import Trail, mint

EXPIRED = rejected("expired", UP_TO_EXP, **{"jwt.expires_in": negative})


def scope(outcome: str | None, *required: str, missing: set[str] | None = None) -> dict[str, Any]:
    """What an event tells of the comparison with a token that grants ``read``."""
    return {
        "jwt.scope.required": set(required) or None,
        "jwt.scope.granted": {"read"},
        "jwt.scope.missing": missing,
        "jwt.scope.outcome": outcome,
    }


SUFFICIENT = scope("sufficient", "read")
LACKING = scope("insufficient", "write", missing={"write"})


class Policy:
    """The usual one: whoever the token says, and what its scopes grant."""

    def identity(self, request: Request) -> Any:
        try:
            return verify(request.headers["x-tokens"])
        except (KeyError, jwt.InvalidTokenError):
            return None

    def authenticated_userid(self, request: Request) -> str | None:
        claims = self.identity(request)
        return claims and claims["sub"]

    def permits(self, request: Request, context: Any, permission: str) -> Any:
        claims = self.identity(request)
        granted = claims is not None and permission in claims.get("scope", "").split()
        return Allowed("granted by the token") if granted else Denied("not granted")

    def remember(self, request: Request, userid: str, **options: Any) -> list[Any]:
        return []

    forget = remember


@pytest.fixture
def secured(telemetry: str, trail: Trail) -> Callable[..., Configurator]:
    """Call it with the policy and settings for a configuration."""

    def configure(policy: Any = None, **settings: Any) -> Configurator:
        config = configured(telemetry, settings=settings)
        config.set_security_policy(policy or Policy())
        return config

    return configure


@pytest.fixture
def served(telemetry: str, trail: Trail) -> Callable[..., Answer]:
    """Call it with a configuration and what must be said of a token; it makes one request and checks."""

    def serve(config: Configurator, *expected: dict[str, Any], status: int, present: bool = True, **claims: Any) -> Any:
        headers = {"x-tokens": mint(scope="read", **claims)} if present else {}
        app = config.make_wsgi_app()
        trail.clear()
        answer = wsgi(app, PATH, headers)
        assert answer.status == status, answer.error
        check_events(trail, expected, route=ROUTE, status=status)
        if telemetry == "none":
            check_no_span(trail)
        else:
            check_span(trail, -1)
        return answer

    return serve


def never(request: Request) -> Response:
    raise AssertionError("the permission is not granted")


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, validated), (404, validated), (403, denied), (401, lambda **more: rejected("refused", ALL, **more))],
)
def test_permitted(status: int, expected: Any, secured: Any, served: Any) -> None:
    config = secured()
    config.add_view(lambda request: Response(status=status), route_name="item", permission="read")
    served(config, expected(**SUFFICIENT), status=status)


def test_not_permitted_and_refused(secured: Any, served: Any) -> None:
    config = secured()
    config.add_view(never, route_name="item", permission="write")
    served(config, denied(**LACKING), status=403)


@pytest.mark.parametrize("status", [200, 303, 401, 404])
def test_not_permitted_and_the_forbidden_view_answers_otherwise(status: int, secured: Any, served: Any) -> None:
    """With a 2xx, say a login form, the client has been served all the same."""
    config = secured()
    config.add_view(never, route_name="item", permission="write")
    config.add_forbidden_view(lambda request: Response(status=status))
    served(config, denied(**LACKING), status=status)


def test_permitted_although_the_token_does_not_grant_it(secured: Any, served: Any) -> None:
    """What the policy allows is not missing: its permissions need not be the token's scopes."""

    class Generous(Policy):
        def permits(self, request: Request, context: Any, permission: str) -> Any:
            return self.identity(request)

    config = secured(Generous())
    config.add_view(lambda request: Response(), route_name="item", permission="write")
    served(config, validated(**scope("sufficient", "write")), status=200)


@pytest.mark.parametrize("permission", ["read", "write"])
def test_default_permission(permission: str, secured: Any, served: Any) -> None:
    config = secured()
    config.set_default_permission(permission)
    config.add_view(lambda request: Response(), route_name="item")
    if permission == "read":
        served(config, validated(**SUFFICIENT), status=200)
    else:
        served(config, denied(**LACKING), status=403)


@pytest.mark.parametrize("debug", [False, True])
def test_no_permission_required(debug: bool, secured: Any, served: Any) -> None:
    config = secured(debug_authorization=debug)
    config.set_default_permission("write")
    config.add_view(
        lambda request: Response(request.authenticated_userid),
        route_name="item",
        permission=NO_PERMISSION_REQUIRED,
    )
    served(config, validated(**scope(None)), status=200)


@pytest.mark.parametrize("permission", ["read", "write"])
def test_debugging_asks_once_more_and_is_not_counted(
    permission: str, secured: Any, served: Any, caplog: pytest.LogCaptureFixture
) -> None:
    config = secured(debug_authorization=True)
    config.add_view(lambda request: Response(), route_name="item", permission=permission)
    with caplog.at_level(logging.DEBUG):
        if permission == "read":
            served(config, validated(**SUFFICIENT), status=200)
        else:
            served(config, denied(**LACKING), status=403)


@pytest.mark.parametrize(
    "ask",
    [
        lambda request: request.has_permission("write"),
        lambda request: view_execution_permitted(request.context, request, "guarded"),
    ],
)
def test_question_is_no_gate(ask: Any, secured: Any, served: Any) -> None:
    config = secured()
    config.add_view(never, name="guarded", permission="write")
    config.add_view(lambda request: Response(str(bool(ask(request)))), route_name="item", permission="read")
    assert served(config, validated(**SUFFICIENT), status=200).body == b"False"


def test_hand_written_403_after_a_question(secured: Any, served: Any) -> None:
    config = secured()
    config.add_view(lambda request: Response(status=200 if request.has_permission("write") else 403), route_name="item")
    served(config, denied(**scope(None)), status=403)


def test_subrequest_without_the_permission(secured: Any, served: Any) -> None:
    """The token was not sufficient for all that it was used for, and the client was served."""

    def view(request: Request) -> Response:
        inner = Request.blank("/guarded", headers={"x-tokens": request.headers["x-tokens"]})
        return Response(str(request.invoke_subrequest(inner, use_tweens=True).status_code))

    config = secured()
    config.add_view(never, name="guarded", permission="write")
    config.add_view(view, route_name="item", permission="read")
    both = scope("insufficient", "read", "write", missing={"write"})
    assert served(config, denied(**both), status=200).body == b"403"


def test_expired_token_has_no_outcome(secured: Any, served: Any) -> None:
    config = secured()
    config.add_view(never, route_name="item", permission="read")
    served(config, {**EXPIRED, "jwt.scope.required": None}, status=403, exp=1)


def test_no_token(secured: Any, served: Any) -> None:
    config = secured()
    config.add_view(never, route_name="item", permission="read")
    served(config, status=403, present=False)


def test_policy_that_fails_decides_nothing(secured: Any, served: Any) -> None:
    class Failing(Policy):
        def permits(self, request: Request, context: Any, permission: str) -> Any:
            raise ArithmeticError(self.identity(request))

    config = secured(Failing())
    config.add_view(never, route_name="item", permission="read")
    assert isinstance(served(config, validated(**scope(None)), status=500).error, ArithmeticError)


@pytest.mark.parametrize("permission", ["read", "write"])
def test_access_control_lists(permission: str, secured: Any, served: Any) -> None:
    class Lists(Policy):
        def permits(self, request: Request, context: Any, permission: str) -> Any:
            principals = [Everyone, *self.identity(request)["scope"].split()]
            return ACLHelper().permits(context, principals, permission)

    class Item:
        __acl__ = [(Allow, "read", "read"), (Allow, "admin", "write")]  # noqa: RUF012

    config = secured(Lists())
    config.add_view(lambda request: Response(), route_name="item", permission=permission)
    config.set_root_factory(lambda request: Item())
    if permission == "read":
        served(config, validated(**SUFFICIENT), status=200)
    else:
        served(config, denied(**LACKING), status=403)


@pytest.mark.filterwarnings("ignore:Authentication and authorization policies have been deprecated:DeprecationWarning")
@pytest.mark.parametrize("permission", ["read", "write"])
def test_policies_of_pyramid_1(permission: str, telemetry: str, trail: Trail, served: Any) -> None:
    class Old(CallbackAuthenticationPolicy):
        def unauthenticated_userid(self, request: Request) -> str:
            return verify(request.headers["x-tokens"])["sub"]

        def callback(self, userid: str, request: Request) -> list[str]:
            return verify(request.headers["x-tokens"])["scope"].split()

    class Item:
        __acl__ = [(Allow, "read", "read")]  # noqa: RUF012

    config = configured(telemetry)
    config.set_authentication_policy(Old())
    config.set_authorization_policy(ACLAuthorizationPolicy())
    config.set_root_factory(lambda request: Item())
    config.add_view(lambda request: Response(), route_name="item", permission=permission)
    if permission == "read":
        served(config, validated(**SUFFICIENT), status=200)
    else:
        served(config, denied(**LACKING), status=403)


def test_application_made_while_on_lives_on_when_switched_off(secured: Any, trail: Trail) -> None:
    config = secured()
    config.add_view(lambda request: Response(), route_name="item", permission="read")
    app = config.make_wsgi_app()
    token = mint(scope="read")
    PyJWTInstrumentor().uninstrument()
    trail.clear()
    assert wsgi(app, PATH, {"x-tokens": token}).status == 200
    assert trail.names == []
