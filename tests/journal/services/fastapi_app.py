"""A service on FastAPI, for ``uvicorn --workers``: it switches the plugin on."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
from tests.journal.services import tokens

PyJWTInstrumentor().instrument()
app = FastAPI()


@app.get("/login")
async def login(request: Request) -> Response:
    return Response(tokens.login(request.url.query))


@app.get("/orders")
def orders(request: Request) -> Response:
    """In a thread, since it is no coroutine."""
    status, body = tokens.orders(request.headers["authorization"])
    return Response(body, status)
