"""Declarative configuration: what stands in the file under our name arrives as options."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

CONFIGURATION = """
file_format: "1.0"
instrumentation/development:
  python:
    pyjwt:
      subject: hmac
      pseudonym_key: ${PSEUDONYM_KEY}
      capture_claims: [tenant, amr]
      capture_validated: false
      trusted_proxies: [10.0.0.0/8]
"""

PROGRAM = """
import sys
from opentelemetry.configuration import configure_sdk, load_config_file
configure_sdk(load_config_file(sys.argv[1]))
from opentelemetry.instrumentation.pyjwt import audit
settings = audit.active.settings
print(settings.subject, settings.pseudonym_key.decode(), *settings.capture_claims, settings.capture_validated,
      *settings.trusted_proxies)
"""


def test_the_file_configures_the_plugin(tmp_path: Path):
    try:
        version("opentelemetry-instrumentation-pyjwt")
    except PackageNotFoundError:
        pytest.skip("the plugin is not installed, so that its entry point cannot be found")
    file = tmp_path / "otel.yaml"
    file.write_text(CONFIGURATION)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PSEUDONYM_KEY": "of-the-operator"},
        check=False,
    )
    assert done.stdout.split() == ["hmac", "of-the-operator", "tenant", "amr", "False", "10.0.0.0/8"], done.stderr
