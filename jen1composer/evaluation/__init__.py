"""Measurements of what was trained and what it makes."""
