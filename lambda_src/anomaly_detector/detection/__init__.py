"""Forecasts every series, says how surprising a value is, and learns from it. Pure numpy."""

from __future__ import annotations

from anomaly_detector.detection.settings import THRESHOLD_SEVERITY, DetectorSettings
from anomaly_detector.detection.state import State

__all__ = ["THRESHOLD_SEVERITY", "DetectorSettings", "State"]
