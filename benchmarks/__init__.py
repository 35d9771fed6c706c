"""Measures the numbers that the README and the design name; prints them, asserts nothing."""
