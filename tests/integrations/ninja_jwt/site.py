"""A Django of its own: the blacklist has the label of djangorestframework-simplejwt's, so no process can have both."""

from __future__ import annotations

import warnings
from datetime import timedelta

import django
from django.conf import settings
from django.core.management import call_command

from tests.support import ISSUER, KEY

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "ninja_extra",
        "ninja_jwt",
        "ninja_jwt.token_blacklist",
    ],
    LOGGING_CONFIG=None,
    MIDDLEWARE=[],
    NINJA_JWT={
        "BLACKLIST_AFTER_ROTATION": True,
        "ISSUER": ISSUER,
        "REFRESH_TOKEN_LIFETIME": timedelta(days=1),
        "SIGNING_KEY": KEY,
    },
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    ROOT_URLCONF="tests.integrations.ninja_jwt.service",
    SECRET_KEY="nothing is signed with this",
    USE_TZ=True,  # the default since Django 5
)
# The routers of 5.3 call what it deprecates itself.
warnings.filterwarnings("ignore", r"output_schema\(\) is deprecated", DeprecationWarning)
with warnings.catch_warnings():
    # Earlier versions, and those of django-ninja, configure their classes in pydantic's old ways.
    warnings.simplefilter("ignore", DeprecationWarning)
    django.setup()
    import ninja_extra  # noqa: F401
    import ninja_jwt.controller  # noqa: F401
call_command("migrate", verbosity=0)
