"""uvicorn calls an application without arguments: what does not raise a ``TypeError`` is a factory of applications."""

from __future__ import annotations

import pytest

from tests.integrations.adapters import ADAPTERS, Adapter
from tests.integrations.servers import connection, uvicorn_server
from tests.integrations.steps import verify
from tests.support import Trail, mint

ASGI = [adapter for adapter in ADAPTERS if adapter.call.__name__ == "asgi" and not adapter.traced]


@pytest.mark.parametrize("adapter", ASGI, ids=lambda adapter: adapter.name)
def test_an_audited_application_is_no_factory(adapter: Adapter, trail: Trail) -> None:
    def run(tokens: list[str]) -> int:
        verify(tokens[0])
        return 200

    token = mint()
    with adapter.serve(run) as app:
        with pytest.raises(TypeError):
            app()
        trail.clear()
        with uvicorn_server(app) as port, connection(port) as get:
            assert get(x_tokens=token) == 200
    assert trail.names == ["jwt.validated"]
