"""Everything that runs only on a laptop: the local cloud, the sample shop and the demo."""

from __future__ import annotations

import sys
from pathlib import Path

# The stand-in translates SQL as the command line does. The cloud's own process is started without
# PYTHONPATH, which its Lambda functions would inherit.
_PACKAGE = str(Path(__file__).resolve().parent.parent / "lambda_src")
if _PACKAGE not in sys.path:
    sys.path.append(_PACKAGE)
