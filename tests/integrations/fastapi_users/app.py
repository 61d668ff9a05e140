"""A FastAPI application that lives by FastAPI Users, with its users in memory."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import JSONResponse
from fastapi_users import BaseUserManager, FastAPIUsers, InvalidPasswordException, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, CookieTransport, JWTStrategy
from fastapi_users.db import BaseUserDatabase
from fastapi_users.password import PasswordHelper

from tests.integrations.fastapi.app import new
from tests.integrations.told import Session
from tests.support import KEY, Trail

PASSWORD = "correct horse battery staple"
HASHED = PasswordHelper().hash(PASSWORD)
LIFETIME = 300


@dataclass
class User:
    email: str
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    hashed_password: str = HASHED
    is_active: bool = True
    is_superuser: bool = False
    is_verified: bool = False


class Users(BaseUserDatabase[User, uuid.UUID]):
    """The application's users."""

    def __init__(self) -> None:
        self.all: dict[str, User] = {}

    def add(self, name: str, **more: bool) -> User:
        self.all[name] = User(f"{name}@example.com", **more)
        return self.all[name]

    async def get(self, id: uuid.UUID) -> User | None:  # noqa: A002 - the library's name for it
        return next((user for user in self.all.values() if user.id == id), None)

    async def get_by_email(self, email: str) -> User | None:
        return next((user for user in self.all.values() if user.email == email), None)

    async def update(self, user: User, update_dict: dict[str, Any]) -> User:
        for name, value in update_dict.items():
            setattr(user, name, value)
        return user


class Manager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    reset_password_token_secret = verification_token_secret = KEY

    def __init__(self, users: Users, sent: dict[str, str]) -> None:
        super().__init__(users)
        self.sent = sent

    async def validate_password(self, password: str, user: Any) -> None:
        if password == "short":
            raise InvalidPasswordException("too short")

    async def on_after_forgot_password(self, user: User, token: str, request: Any = None) -> None:
        self.sent["reset"] = token

    async def on_after_request_verify(self, user: User, token: str, request: Any = None) -> None:
        self.sent["verify"] = token


class Service(Session):
    """The application, its users, and the tokens it sends them by mail."""

    def __init__(self, trail: Trail, strategy: type[JWTStrategy[Any, Any]] = JWTStrategy) -> None:
        self.users = Users()
        self.sent: dict[str, str] = {}
        self.app: FastAPI = new("none")

        async def get_manager() -> AsyncIterator[Manager]:
            yield Manager(self.users, self.sent)

        self.bearer = strategy(KEY, LIFETIME)
        self.cookie = JWTStrategy[Any, Any](KEY, LIFETIME, token_audience=["cookie"])
        backends = [
            AuthenticationBackend("bearer", BearerTransport("login"), lambda: self.bearer),
            AuthenticationBackend("cookie", CookieTransport("session"), lambda: self.cookie),
        ]
        library = FastAPIUsers[User, uuid.UUID](get_manager, backends)
        self.app.include_router(library.get_auth_router(backends[0]), prefix="/auth")
        self.app.include_router(library.get_reset_password_router())
        self.app.include_router(library.get_verify_router(schemas.BaseUser[uuid.UUID]))
        self.library = library
        for path, wanted in ROUTES.items():
            self.add(path, library.current_user(**wanted))
        super().__init__(trail, self.app)

    def add(self, path: str, *dependencies: Callable[..., Any]) -> None:
        self.app.post(path, dependencies=[Depends(one) for one in dependencies])(lambda: None)

    def answer_refusals_with(self, status: int) -> None:
        self.app.add_exception_handler(HTTPException, lambda request, error: JSONResponse(None, status))

    async def login(self, name: str, **more: bool) -> None:
        """A user of that name, with a token of the same name."""
        self.keep(**{name: await self.bearer.write_token(self.users.add(name, **more))})


ROUTES: dict[str, dict[str, bool]] = {
    "/me": {"active": True},
    "/anybody": {},
    "/verified": {"active": True, "verified": True},
    "/superuser": {"superuser": True},
    "/both": {"active": True, "verified": True, "superuser": True},
    "/optional": {"optional": True, "active": True},
    "/optional/verified": {"optional": True, "active": True, "verified": True},
}
