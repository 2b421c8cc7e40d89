"""Composing as a service: export, engine, server, page."""
