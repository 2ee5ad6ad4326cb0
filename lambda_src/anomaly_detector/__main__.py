"""`python -m anomaly_detector`."""

from __future__ import annotations

import sys

from anomaly_detector.cli import main

sys.exit(main())
