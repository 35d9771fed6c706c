"""Declares what exists in the cloud."""
