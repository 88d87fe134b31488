"""Benchmarks: each a function that returns the rows of its table in docs/benchmarks.md."""
