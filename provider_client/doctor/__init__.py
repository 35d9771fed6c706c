"""Checks of a stack before its first `up`: each finding is data, with the command that mends it. Nothing is paid."""

from provider_client.doctor.findings import Finding, Level, exit_code
from provider_client.doctor.groups import quick_checks
from provider_client.doctor.running import Check, run_checks
from provider_client.doctor.subject import Subject

__all__ = ["Check", "Finding", "Level", "Subject", "exit_code", "quick_checks", "run_checks"]
