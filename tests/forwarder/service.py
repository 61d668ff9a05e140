"""A web service that issues and checks tokens: an application, and a program that serves it for ``test_service.py``.

The program tells its port, serves until its standard input ends, and tells then how long the journal held up its end.

    python service.py [JOURNAL]
"""

from __future__ import annotations

import atexit
import sys
import threading
import time

import jwt
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor

KEY = "a-secret-key-of-at-least-thirty-two-bytes"
app = FastAPI()


@app.post("/login/{jti}")
async def login(jti: str) -> Response:
    return PlainTextResponse(jwt.encode({"jti": jti, "sub": "alice"}, KEY, "HS256"))


@app.get("/orders")
async def orders(request: Request) -> Response:
    try:
        claims = jwt.decode(request.headers["authorization"].removeprefix("Bearer "), KEY, ["HS256"])
    except jwt.InvalidTokenError as error:
        return JSONResponse({"error": str(error)}, 401)
    return JSONResponse({"of": claims["jti"]})


@app.post("/clock")
async def clock() -> Response:
    """The clock steps back, by an hour. That of the machine is everybody's; this is what Python reads of it."""
    then, then_ns = time.time, time.time_ns
    time.time, time.time_ns = lambda: then() - 3600, lambda: then_ns() - 3600 * 10**9
    return Response()


def main() -> None:
    ended: list[float] = []
    atexit.register(lambda: print(time.monotonic() - ended[0], flush=True))  # noqa: T201
    if sys.argv[1:]:
        PyJWTInstrumentor().instrument(journal=sys.argv[1])
    atexit.register(lambda: ended.append(time.monotonic()))  # which is done first

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", timeout_keep_alive=600))

    def watch() -> None:
        while not server.started:
            time.sleep(0.01)
        print(server.servers[0].sockets[0].getsockname()[1], flush=True)  # noqa: T201
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=watch, daemon=True).start()
    server.run()


if __name__ == "__main__":
    main()
