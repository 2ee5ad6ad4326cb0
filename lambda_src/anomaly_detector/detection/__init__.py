"""Forecasts every series, says how surprising a value is, and learns from it. Pure numpy."""

from __future__ import annotations

from anomaly_detector.detection.replay import Replay, replay
from anomaly_detector.detection.settings import THRESHOLD_SEVERITY, DetectorSettings
from anomaly_detector.detection.state import State, from_bytes, initial_state, to_bytes

__all__ = [
    "THRESHOLD_SEVERITY",
    "DetectorSettings",
    "Replay",
    "State",
    "from_bytes",
    "initial_state",
    "replay",
    "to_bytes",
]
