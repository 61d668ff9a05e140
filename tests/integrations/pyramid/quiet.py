"""Imports Pyramid, once and before anybody else: what it stands on is deprecated, and says so then.

Nothing in here but that, so that scripts in processes of their own can do likewise.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "(?s).*pkg_resources", UserWarning)  # setuptools, of its own module
    warnings.filterwarnings("ignore", "(?s).*pkg_resources", DeprecationWarning)  # and of packages that use it
    warnings.filterwarnings("ignore", "'cgi' is deprecated", DeprecationWarning)  # Python, to WebOb
    import pyramid.config  # noqa: F401
