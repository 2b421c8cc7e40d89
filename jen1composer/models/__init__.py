"""Flax modules: pure functions of parameters and arrays, weights annotated with logical axes."""
