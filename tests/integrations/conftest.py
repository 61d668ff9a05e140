"""Django's settings, Pyramid's warnings, before any test is imported; key sets: one that answers, one that does not."""

from __future__ import annotations

import base64
import json
import socket
import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core.management import call_command
from django.db import connection

from tests import support_report
from tests.integrations.django import site  # noqa: F401 - imported for its settings
from tests.integrations.pyramid import quiet  # noqa: F401 - imported for what it imports
from tests.support import KEY

collect_ignore = support_report.ABSENT
pytest.register_assert_rewrite("tests.integrations.rows")
pytest.register_assert_rewrite("tests.integrations.checks")

with warnings.catch_warnings():
    # In its earlier versions it configures its own classes in pydantic's old way.
    warnings.filterwarnings("ignore", "Support for class-based", DeprecationWarning)
    import ninja  # noqa: F401


class _KeySet(BaseHTTPRequestHandler):
    """Serves one key, ``known``."""

    def do_GET(self) -> None:
        secret = base64.urlsafe_b64encode(KEY.encode()).rstrip(b"=").decode()
        body = json.dumps({"keys": [{"kty": "oct", "kid": "known", "alg": "HS256", "k": secret}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="session")
def jwks() -> Iterator[str]:
    """URL of a key set."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _KeySet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/jwks"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def no_jwks() -> Iterator[str]:
    """URL of a key set that nobody serves: the port is taken, and refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/jwks"


@pytest.fixture(scope="session")
def database() -> Iterator[None]:
    """In memory, with the tables of all of Django's applications."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # drf-jwt's migrations are written for older versions of Django
        call_command("migrate", verbosity=0)
    yield
    connection.connection.close()  # Django's own close() keeps what is in memory


@pytest.fixture(params=["none", "contrib"])
def telemetry(request: pytest.FixtureRequest) -> str:
    """Who makes the SERVER span of a Django application."""
    name: str = request.param
    return name
