"""Frameworks: where a request begins, is decided and ends, and what its route is."""
