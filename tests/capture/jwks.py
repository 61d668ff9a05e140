"""A JWKS endpoint on loopback, and tokens signed with its key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from tests.support import mint

KID = "key-1"
ALGORITHMS = ["ES256"]
_PRIVATE = ec.generate_private_key(ec.SECP256R1())
_JWKS = {"keys": [{**json.loads(ECAlgorithm.to_jwk(_PRIVATE.public_key())), "kid": KID, "use": "sig", "alg": "ES256"}]}

#: Nobody listens there: port 0 cannot be connected to.
NOBODY = "http://127.0.0.1:0/jwks.json"


def signed(kid: str = KID) -> str:
    """A token signed with the endpoint's key. While the instrumentor is on, minting is an event of its own."""
    return mint(_PRIVATE, "ES256", {"kid": kid})


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(_JWKS).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name it has in http.server
        """Tests print nothing."""


@contextmanager
def endpoint() -> Iterator[str]:
    """Serve the keys; gives the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/jwks.json"
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
