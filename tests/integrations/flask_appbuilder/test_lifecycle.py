"""Flask-AppBuilder: its API's tokens are Flask-JWT-Extended's, its permissions are its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import jwt
import pytest
from flask import Flask
from flask_appbuilder import AppBuilder
from flask_appbuilder.api import BaseApi, expose
from flask_appbuilder.security.decorators import protect
from flask_appbuilder.utils.legacy import get_sqla_class
from flask_jwt_extended import create_access_token

from tests.integrations.drivers import Answer
from tests.support import KEY, OTHER_KEY, Trail

# Its models ask for the time in a way that Python 3.12 deprecates.
pytestmark = pytest.mark.filterwarnings(r"ignore:datetime\.datetime\.utcnow:DeprecationWarning")

ALICE = {"username": "alice", "password": "pass-of-alice", "provider": "db", "refresh": True}
LOGIN, REFRESH = "/api/v1/security/login", "/api/v1/security/refresh"


class OrdersApi(BaseApi):
    resource_name = "orders"

    @expose("/")
    @protect()
    def get_list(self) -> Any:
        return self.response(200)

    @expose("/", methods=["POST"])
    @protect()
    def post(self) -> Any:
        return self.response(201)


class Service:
    """A real application on SQLite, and its tokens by the names that the table gives them."""

    def __init__(self) -> None:
        self.app = Flask(__name__)
        self.app.config.update(
            SECRET_KEY=KEY, JWT_SECRET_KEY=KEY, SQLALCHEMY_DATABASE_URI="sqlite://", WTF_CSRF_ENABLED=False
        )
        database = get_sqla_class()()
        database.init_app(self.app)
        self.blocked: set[str] = set()
        with self.app.app_context():
            self.manager = AppBuilder(self.app, database.session).sm
            self.manager.appbuilder.add_api(OrdersApi)
            role = self.manager.add_role("reader")
            self.manager.add_permission_role(
                role, self.manager.find_permission_view_menu("can_get_list", OrdersApi.__name__)
            )
            self.manager.add_user("alice", "A", "L", "alice@a.example", role, password=ALICE["password"])
            self.manager.jwt_manager.token_in_blocklist_loader(lambda header, claims: claims["jti"] in self.blocked)
        self.database = database
        self.tokens: dict[str, str] = {}

    @property
    def names(self) -> dict[str, str]:
        """Name of each token, by jti."""
        return {
            jwt.decode(token, options={"verify_signature": False})["jti"]: name for name, token in self.tokens.items()
        }

    def mint(self, name: str, subject: str = "1", **lifetime: float) -> None:
        with self.app.app_context():
            self.tokens[name] = create_access_token(subject, expires_delta=timedelta(**lifetime or {"hours": 1}))

    def forge(self, name: str) -> None:
        claims = jwt.decode(self.tokens["access-1"], options={"verify_signature": False})
        self.tokens[name] = jwt.encode({**claims, "jti": name}, OTHER_KEY)

    def request(self, method: str, path: str, token: str | None) -> Answer:
        headers = {} if token is None else {"Authorization": f"Bearer {self.tokens[token]}"}
        answer = self.app.test_client().open(
            path, method=method, headers=headers, json=ALICE if path == LOGIN else None
        )
        return Answer(answer.status_code, answer.data)


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    with service.app.app_context():
        service.database.engine.dispose()


def test_life_of_a_session(service: Service, trail: Trail) -> None:
    orders = "/api/v1/orders/"
    service.mint("expired", seconds=-60)
    service.mint("nobody", subject="99")
    used, refreshed = ("jwt.validated", "refresh-1"), ("jwt.refreshed", "access-2", "refresh-1")
    # method, path, token; status; events: name, token, its parent
    table: list[tuple[str, str, str | None, int, list[tuple[str, ...]]]] = [
        ("POST", LOGIN, None, 200, [("jwt.issued", "access-1"), ("jwt.issued", "refresh-1")]),
        ("GET", orders, "access-1", 200, [("jwt.validated", "access-1")]),
        ("POST", orders, "access-1", 403, [("jwt.denied", "access-1")]),
        ("GET", orders, None, 401, []),
        ("POST", REFRESH, "refresh-1", 200, [used, refreshed]),
        ("GET", orders, "access-2", 200, [("jwt.validated", "access-2")]),
        ("GET", orders, "refresh-1", 422, [("jwt.rejected: wrong_type", "refresh-1")]),
        ("POST", REFRESH, "access-2", 422, [("jwt.rejected: wrong_type", "access-2")]),
        ("GET", orders, "expired", 401, [("jwt.rejected: expired", "expired")]),
        ("GET", orders, "nobody", 401, [("jwt.rejected: refused", "nobody")]),
    ]  # fmt: skip
    for method, path, token, status, expected in table:
        trail.clear()
        answer = service.request(method, path, token)
        assert answer.status == status, (path, answer.body)
        if path == LOGIN:
            service.tokens |= _named(answer, "1")
        elif path == REFRESH and status == 200:
            service.tokens |= _named(answer, "2")
        told = list(zip(trail.names, trail.events, strict=True))
        names = service.names
        assert [
            (body, *(names[event[name]] for name in ("jwt.jti", "jwt.parent.jti") if name in event))
            for body, event in told
        ] == expected


@pytest.mark.parametrize("why", ["revoked", "refused", "invalid_signature"])
def test_tokens_that_were_good(why: str, service: Service, trail: Trail) -> None:
    answer = service.request("POST", LOGIN, None)
    service.tokens |= _named(answer, "1")
    token = "access-1"
    if why == "revoked":
        service.blocked |= service.names.keys()
    elif why == "invalid_signature":
        service.forge(token := "forged")
    else:
        with service.app.app_context():
            alice = service.manager.find_user("alice")
            alice.active = False
            service.manager.update_user(alice)
    trail.clear()
    assert service.request("GET", "/api/v1/orders/", token).status in (401, 422)
    assert trail.names == [f"jwt.rejected: {why}"]


def test_a_login_that_fails_says_nothing(service: Service, trail: Trail) -> None:
    answer = service.app.test_client().post(LOGIN, json={**ALICE, "password": "guess"})
    assert answer.status_code == 401
    assert trail.names == []


def _named(answer: Answer, number: str) -> dict[str, str]:
    return {
        f"{name.removesuffix('_token')}-{number}": token
        for name, token in json.loads(answer.body).items()
        if name.endswith("_token")
    }
