"""Alerts of each engine, made from the rules."""
