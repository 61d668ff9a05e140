"""The one Django of this process, configured before anything of it is imported that reads a setting."""

from __future__ import annotations

import warnings
from datetime import timedelta

import django
from django.conf import settings

from tests.support import ISSUER, KEY

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "allauth",
        "allauth.account",
        "allauth.headless",
        "graphql_jwt.refresh_token",
        "rest_framework_jwt.blacklist",
        "rest_framework_simplejwt.token_blacklist",
    ],
    GRAPHQL_JWT={"JWT_SECRET_KEY": KEY, "JWT_VERIFY_EXPIRATION": True},
    JWT_AUTH={"JWT_SECRET_KEY": KEY},
    LOGGING_CONFIG=None,
    MIDDLEWARE=["allauth.account.middleware.AccountMiddleware"],  # allauth insists; each application has its own
    REST_FRAMEWORK={"UNAUTHENTICATED_USER": None},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    ROOT_URLCONF="",
    SECRET_KEY="nothing is signed with this",
    SIMPLE_JWT={
        "BLACKLIST_AFTER_ROTATION": True,
        "ISSUER": ISSUER,
        "REFRESH_TOKEN_LIFETIME": timedelta(days=1),
        "SIGNING_KEY": KEY,
    },
    USE_TZ=True,  # the default since Django 5
)
with warnings.catch_warnings():  # drf-jwt declares its models as older versions of Django have it
    warnings.simplefilter("ignore")
    django.setup()
