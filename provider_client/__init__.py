"""Talks to the deployed gateway and its providers, judges what it sees, moves traffic back."""

__version__ = "0.1.0"

NAMESPACE = "image-generation"  # the Pulumi project; not in config, which the command line cannot wait for
