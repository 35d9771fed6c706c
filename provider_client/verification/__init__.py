"""Verification: real images through the deployed gateway, measured, judged, reported (design in judging.py)."""

from provider_client.verification.events import Event, describe
from provider_client.verification.judging import Verdict
from provider_client.verification.measurement import Measurement, Outcome, worst
from provider_client.verification.plan import PlannedAsset, VerificationPlan, default_plan, load_plan
from provider_client.verification.report import AssetResult, Report, Target
from provider_client.verification.reports import ReportFiles, write_reports
from provider_client.verification.runner import verify
from provider_client.verification.spending import Ledger, Price

__all__ = [
    "AssetResult",
    "Event",
    "Ledger",
    "Measurement",
    "Outcome",
    "PlannedAsset",
    "Price",
    "Report",
    "ReportFiles",
    "Target",
    "Verdict",
    "VerificationPlan",
    "default_plan",
    "describe",
    "load_plan",
    "verify",
    "worst",
    "write_reports",
]
