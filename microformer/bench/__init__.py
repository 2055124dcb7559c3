"""Benchmarks: each measures the program beside something plain, in the same minutes on the same machine."""
