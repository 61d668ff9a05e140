"""Forks, spawned processes, workers, and the ways a process ends: each has a stream of its own, whole to its end."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.isolated import ROOT
from tests.journal import book

PRELUDE = """
import atexit, gc, multiprocessing, os, signal, sys, threading, time
import jwt
from opentelemetry.instrumentation.pyjwt import PyJWTInstrumentor
KEY = "a-secret-key-of-at-least-thirty-two-bytes"
on = PyJWTInstrumentor().instrument
def use(name):
    jwt.encode({"jti": name, "sub": "alice"}, KEY, "HS256")
"""


def run(directory: Path, script: str, *, check: bool = True, **environ: str) -> subprocess.CompletedProcess[str]:
    """A program in a file, as multiprocessing needs it."""
    program = directory.with_name("program.py")
    program.write_text(PRELUDE + script, encoding="utf-8")
    path = os.pathsep.join([*filter(None, sys.path), str(ROOT)])
    variables = {**os.environ, "PYTHONPATH": path, "OTEL_PYTHON_PYJWT_JOURNAL": str(directory), **environ}
    done = subprocess.run(
        [sys.executable, "-W", "error", program], env=variables, capture_output=True, text=True, timeout=60, check=False
    )
    if check:
        assert (done.returncode, done.stderr) == (0, "")
    return done


def streams(directory: Path) -> list[list[str]]:
    return sorted([one["jwt.jti"] for one in stream] for stream in book.read(directory, parse=False).values())


def free(directory: Path) -> bool:
    """Whether no stream is held by a process any more."""
    for path in directory.glob("*.lock"):
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
    return True


ENDS = {
    "return": "",
    "exit": "sys.exit(0)",
    "_exit": "os._exit(0)",
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM)",
    "abort": "os.abort()",
    "exception": "raise SystemExit(0)",
    "exec": "os.execv('/bin/true', ['true'])",
}


@pytest.mark.parametrize(
    ("end", "fsync"), [*((end, "interval") for end in ENDS), ("SIGKILL", "never"), ("_exit", "always")]
)
def test_however_a_process_ends_its_records_are_there(end: str, fsync: str, directory: Path) -> None:
    started = time.monotonic()
    run(
        directory,
        f"on()\nfor number in range(20): use(f'{{number:02}}')\n{ENDS[end]}",
        check=end not in ("SIGKILL", "SIGTERM", "abort"),
        OTEL_PYTHON_PYJWT_JOURNAL_FSYNC=fsync,
    )
    assert streams(directory) == [[f"{number:02}" for number in range(20)]]
    assert free(directory)
    assert time.monotonic() - started < 20


def test_what_is_used_while_the_interpreter_ends_is_there(directory: Path) -> None:
    """Exit handlers that run before and after the journal's own, and a thread that goes on."""
    run(
        directory,
        """
atexit.register(use, "after")
on()
atexit.register(use, "before")
use("main")
class Last:
    def __del__(self): use("finalizer")
last = Last()
""",
    )
    assert sorted(name for stream in streams(directory) for name in stream) == ["after", "before", "finalizer", "main"]
    assert free(directory)


def test_switched_off_the_stream_is_ended_and_switched_on_another_begins(directory: Path) -> None:
    run(
        directory,
        """
for name in "ab":
    on()
    use(name)
    PyJWTInstrumentor().uninstrument()
    use("off")
    assert [thread.name for thread in threading.enumerate()] == ["MainThread"]
""",
    )
    assert streams(directory) == [["a"], ["b"]]


FORK = """
def fork(work, *arguments):
    process = os.fork()
    if process == 0:
        work(*arguments)
        os._exit(0)
    return process
"""


@pytest.mark.parametrize("used_before", [True, False])
def test_a_fork_has_a_stream_of_its_own(used_before: bool, directory: Path) -> None:
    run(
        directory,
        FORK
        + f"""
on()
{used_before} and use("parent-1")
children = [fork(use, f"child-{{number}}") for number in range(3)]
use("parent-2")
for child in children: os.waitpid(child, 0)
use("parent-3")
""",
    )
    parent = ["parent-1", "parent-2", "parent-3"][not used_before :]
    assert streams(directory) == [["child-0"], ["child-1"], ["child-2"], parent]


def test_a_fork_does_not_hold_its_parent_s_stream(directory: Path) -> None:
    """Or it would be taken for alive, and nobody would deliver what a dead parent has left."""
    run(
        directory,
        FORK
        + """
import pathlib
from tests.journal.test_processes import free
on()
use("parent")
directory = pathlib.Path(os.environ["OTEL_PYTHON_PYJWT_JOURNAL"])
assert not free(directory)
readable, writable = os.pipe()
def outlive():
    os.close(writable)
    os.read(readable, 1)  # until the parent's parent says so
process = fork(lambda: (fork(outlive), os._exit(0)))
os.waitpid(process, 0)
PyJWTInstrumentor().uninstrument()
assert free(directory)
""",
    )


def test_forked_while_other_threads_write(directory: Path) -> None:
    """Locks that another thread held when the process was forked are nobody's in the fork."""
    run(
        directory,
        FORK
        + """
on()
over = threading.Event()
def work(name):
    number = 0
    while not over.is_set():
        use(f"{name}-{number:05}")
        number += 1
threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
for thread in threads: thread.start()
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # that it has threads
children = [fork(lambda number: [use(f"child-{number}-{turn}") for turn in range(3)], number) for number in range(20)]
statuses = [os.waitpid(child, 0)[1] for child in children]
over.set()
for thread in threads: thread.join()
assert statuses == [0] * 20
""",
    )
    parent, *children = sorted(streams(directory))
    assert len(parent) > 20
    assert sorted(children) == sorted([f"child-{number}-{turn}" for turn in range(3)] for number in range(20))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method: str, directory: Path) -> None:
    run(
        directory,
        f"""
on()
if __name__ == "__main__":
    use("parent")
    context = multiprocessing.get_context({method!r})
    workers = [context.Process(target=use, args=(f"worker-{{number}}",)) for number in range(2)]
    for worker in workers: worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
""",
    )
    assert streams(directory) == [["parent"], ["worker-0"], ["worker-1"]]
    assert free(directory)


@pytest.mark.parametrize("preload", [True, False])
def test_workers_that_are_killed_under_load(preload: bool, directory: Path) -> None:
    """A master that forks workers, as gunicorn does: killed workers are replaced, and lose nothing."""
    done = run(
        directory,
        FORK
        + f"""
import tempfile
responses = os.open(os.environ["RESPONSES"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def worker(name):
    {"" if preload else "on()"}
    def serve(name):
        for number in range(10**9):
            use(f"{{name}}-{{number}}")
            os.write(responses, f"{{name}}-{{number}}\\n".encode())
    for number in range(3): threading.Thread(target=serve, args=(f"{{name}}-{{number}}",), daemon=True).start()
    time.sleep(60)
{"on(); use('master-0')" if preload else ""}
workers = [fork(worker, f"w{{number}}") for number in range(4)]
for generation in range(3):
    until = os.fstat(responses).st_size + 5000
    while os.fstat(responses).st_size < until: time.sleep(0.01)
    for number, process in enumerate(workers):
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        workers[number] = fork(worker, f"g{{generation}}w{{number}}") if generation < 2 else 0
""",
        RESPONSES=str(directory.with_name("responses")),
    )
    assert done.returncode == 0
    written = [name for stream in streams(directory) for name in stream]
    answered = directory.with_name("responses").read_text(encoding="ascii").split()
    assert len(answered) > 100
    assert set(answered) <= set(written)
    assert len(set(written)) == len(written)
    assert free(directory)


def test_a_signal_handler_may_use_tokens_within_a_write_and_may_raise(directory: Path) -> None:
    """Whatever it interrupts: no deadlock, no broken chain, and nothing lost that was answered for."""
    done = run(
        directory,
        """
on()
class Stop(BaseException): pass
fired, numbers = [], iter(range(10**6))  # which no other signal comes between, as it may with len(fired)
def handler(*_):
    fired.append(1)
    use(f"signal-{next(numbers)}")
    if inside and len(fired) % 3 == 0:
        raise Stop
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0005)
answered, stopped, number, inside = [], 0, 0, False
while len(fired) < 600:
    try:
        inside = True
        use(f"main-{number}")
        inside = False
        answered.append(f"main-{number}")
    except Stop:
        stopped += 1
    inside = False
    number += 1
signal.setitimer(signal.ITIMER_REAL, 0)
assert stopped > 20, stopped
import pathlib
from tests.journal import book
directory = pathlib.Path(os.environ["OTEL_PYTHON_PYJWT_JOURNAL"])
records = [one for stream in book.read(directory, parse=False).values() for one in stream]
assert set(answered) <= {one["jwt.jti"] for one in records}
assert len({one["jwt.jti"] for one in records}) == len({one["audit.record.id"] for one in records})
""",
        check=False,  # what is raised in a finalizer goes to stderr
    )
    assert done.returncode == 0, done.stderr
