"""Looks at an installed wheel from outside, in a Python that has nothing but the wheel and what it asks for.

`python tests/wheel.py installed WHEEL` after installing it, `python tests/wheel.py gone` after uninstalling it.
"""

import sys
import zipfile
from importlib import metadata, resources
from importlib.util import find_spec

PACKAGE = "opentelemetry.instrumentation.pyjwt"


def installed(wheel: str) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    inside = PACKAGE.replace(".", "/")
    assert f"{inside}/py.typed" in names
    assert f"{inside}/review/sigma/stolen-token.yml" in names
    shared = {"opentelemetry/__init__.py", "opentelemetry/instrumentation/__init__.py"}
    assert not shared & set(names), "the namespace belongs to all of OpenTelemetry"

    (entry,) = metadata.entry_points(group="opentelemetry_instrumentor", name="pyjwt")
    instrumentor = entry.load()()
    assert resources.files(PACKAGE).joinpath("py.typed").is_file()
    instrumentor.instrument()
    instrumentor.uninstrument()


def gone() -> None:
    import opentelemetry.instrumentation.instrumentor
    import opentelemetry.semconv.attributes
    import opentelemetry.trace  # noqa: F401 - that these can be imported is the test

    assert find_spec(PACKAGE) is None
    assert not metadata.entry_points(group="opentelemetry_instrumentor", name="pyjwt")


if __name__ == "__main__":
    {"installed": installed, "gone": gone}[sys.argv[1]](*sys.argv[2:])
