"""Its applications are Django's, and served in the same way."""

from tests.integrations.django.conftest import served as served
