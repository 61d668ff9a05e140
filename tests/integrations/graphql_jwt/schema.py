"""A GraphQL schema with django-graphql-jwt's mutations, and fields to protect."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import graphene
import graphql_jwt
from graphql_jwt.decorators import login_required, permission_required, staff_member_required, user_passes_test
from graphql_jwt.exceptions import PermissionDenied
from graphql_jwt.mixins import JSONWebTokenMixin, ResolveMixin
from graphql_jwt.refresh_token.mixins import RefreshTokenMixin


class NotToday(Exception):
    """The application's own way to say no."""


class Obtain(ResolveMixin, graphql_jwt.JSONWebTokenMutation):
    """As the library's, with a refresh token that is no JWT if so set."""


class RefreshLong(RefreshTokenMixin, JSONWebTokenMixin, graphene.Mutation):
    """As the library's with long-running refresh tokens; which of them ``Refresh`` is, is decided on import."""

    class Arguments(RefreshTokenMixin.Fields):
        """The refresh token."""

    @classmethod
    def mutate(cls, *args: Any, **kwargs: Any) -> Any:
        return cls.refresh(*args, **kwargs)


def make(*, long_running: bool = False) -> graphene.Schema:
    """A new schema: its fields are decorated here and now."""

    class Query(graphene.ObjectType):
        open = graphene.String()
        me = graphene.String()
        users = graphene.String()
        groups = graphene.String()
        staff = graphene.String()
        rule = graphene.String()
        own = graphene.String()

        def resolve_open(self, info: Any) -> str:
            return "open"

        @login_required
        def resolve_me(self, info: Any) -> str:
            return str(info.context.user)

        @permission_required("auth.view_user")
        def resolve_users(self, info: Any) -> str:
            return "users"

        @permission_required(["auth.view_user", "auth.view_group"])
        def resolve_groups(self, info: Any) -> str:
            return "groups"

        @staff_member_required
        def resolve_staff(self, info: Any) -> str:
            return "staff"

        @user_passes_test(attrgetter("is_superuser"), exc=NotToday)
        def resolve_rule(self, info: Any) -> str:
            return "rule"

        def resolve_own(self, info: Any) -> str:
            raise PermissionDenied("Not you.")

    class Mutation(graphene.ObjectType):
        obtain = Obtain.Field()
        verify = graphql_jwt.Verify.Field()
        refresh = RefreshLong.Field() if long_running else graphql_jwt.Refresh.Field()
        revoke = graphql_jwt.Revoke.Field()

    return graphene.Schema(Query, Mutation)
