"""A local cloud: AWS by ministack, Redshift by our stand-in, on one loopback port."""

from __future__ import annotations

from local.cloud.process import CloudError, LocalCloud

__all__ = ["CloudError", "LocalCloud"]
