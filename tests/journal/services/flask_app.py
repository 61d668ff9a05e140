"""A service on Flask, for ``opentelemetry-instrument gunicorn``: not a line about the plugin."""

from __future__ import annotations

import uuid

from flask import Flask, Response, request

from tests.journal.services import tokens

app = Flask(__name__)
tokens.login(str(uuid.uuid4()))  # in the master, if it is that which imports this, before it forks


@app.get("/login")
def login() -> Response:
    return Response(tokens.login(request.query_string.decode()))


@app.get("/orders")
def orders() -> Response:
    status, body = tokens.orders(request.headers["authorization"])
    return Response(body, status)
