"""Capture: one file a library or framework. It translates what happens there, and decides nothing."""
