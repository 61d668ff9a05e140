"""The one Django of this process, configured before anything of it is imported that reads a setting."""

from __future__ import annotations

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    LOGGING_CONFIG=None,
    REST_FRAMEWORK={"UNAUTHENTICATED_USER": None},
    ROOT_URLCONF="",
    SECRET_KEY="nothing is signed with this",
)
django.setup()
