"""What AuthX has only since 1.7 is tried with 1.7."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = [] if find_spec("authx.manager") else ["test_managers.py"]
