"""Stack configuration: every key, its type and default (keys.py), and errors that name the fix (loading.py)."""

from provider_client import NAMESPACE
from provider_client.config.keys import StackConfig
from provider_client.config.loading import load

__all__ = ["NAMESPACE", "StackConfig", "load"]
