"""Processes at full speed that are killed at a random moment: a program, run by ``test_crash.py``.

For each run a process of four threads and a fork of it use tokens as fast as they can. What a request has done is
told, to a file the kernel keeps, when its response would be sent. Then all of them are killed.

    python killed.py JOURNAL RESPONSES RUNS SEED
"""

from __future__ import annotations

import itertools
import os
import random
import select
import signal
import sys
import threading
import time

import jwt

from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor, action

KEY = "a-secret-key-of-at-least-thirty-two-bytes"


def serve(name: str, responses: int) -> None:
    for number in itertools.count():
        jti = f"{name}-{number}"
        with action("login"):
            token = jwt.encode({"jti": jti, "sub": "alice"}, KEY, "HS256")
        os.write(responses, f"jwt.issued {jti}\n".encode())
        with action("request", client="10.0.0.7"):
            jwt.decode(token, KEY, ["HS256"])
        os.write(responses, f"jwt.validated {jti}\n".encode())


def work(run: int, responses: int) -> None:
    os.setpgid(0, 0)
    os.fork()
    for number in range(4):
        threading.Thread(target=serve, args=(f"{run}-{os.getpid()}-{number}", responses), daemon=True).start()
    time.sleep(60)


def main() -> None:
    directory, told, runs, seed = sys.argv[1:]
    chosen = random.Random(int(seed))
    PyJWTInstrumentor().instrument(
        journal=directory, journal_rotate_bytes=str(chosen.choice([100_000, 2**26])), journal_fsync="interval"
    )
    for run in range(int(runs)):
        responses = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        ended, alive = os.pipe()
        process = os.fork()
        if process == 0:
            try:
                work(run, responses)
            finally:
                os._exit(1)
        os.setpgid(process, process)  # whoever comes first
        os.close(alive)
        begun = os.fstat(responses).st_size
        while os.fstat(responses).st_size == begun and chosen.random() < 0.999:  # now and then before the first one
            time.sleep(0.001)
        time.sleep(chosen.uniform(0, 0.05))
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
        assert select.select([ended], [], [], 30)[0], "the fork is still alive"
        os.close(ended)
        os.close(responses)
    os._exit(0)


main()
