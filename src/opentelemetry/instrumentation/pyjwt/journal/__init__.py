"""The audit journal: events on disk first, then delivered. Nothing of it is imported in plain mode."""
