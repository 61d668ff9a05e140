"""One request to a view of Django REST framework: as to any of Django's."""

from tests.integrations.django.conftest import served

__all__ = ["served"]
