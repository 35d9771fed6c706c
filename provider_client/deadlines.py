"""Waits that a flag of the command line can change; free of imports, so that --help can name them at once."""

GENERATION_SECONDS = 900.0  # a cold start of 120 s and a pipeline of 120 s, with room for a fresh release
CONFIRM_SECONDS = 60.0  # until the gateway has proved that the traffic moved
