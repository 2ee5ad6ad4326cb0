"""Immutable copies of the configuration document; everything except reconcile reads these."""

from __future__ import annotations

from datetime import datetime

from anomaly_detector import config as document
from anomaly_detector.config import Config
from anomaly_detector.errors import PermanentError
from anomaly_detector.lake import layout
from anomaly_detector.lake.store import ObjectStore


def keep_current(store: ObjectStore) -> tuple[str, datetime]:
    """Copy the uploaded document, valid or not, to a key with its hash; return the hash, and when
    the document was uploaded.

    Raises
    ------
    PermanentError
        If no document was uploaded.
    """
    found = store.find(layout.CONFIGURATION)
    if found is None:
        raise PermanentError(
            f"s3://{store.bucket}/{layout.CONFIGURATION} does not exist: apply the module, or "
            "upload the document."
        )
    config_hash = document.document_hash(found.body)
    store.put(layout.configuration_version(config_hash), found.body, "application/json")
    return config_hash, found.modified


def load(store: ObjectStore, config_hash: str) -> Config:
    """The configuration with this hash.

    Raises
    ------
    PermanentError
        Names each invalid key; or there is no such document.
    """
    return document.load(store.get(layout.configuration_version(config_hash)))
