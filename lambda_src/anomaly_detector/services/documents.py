"""Immutable copies of the configuration document; everything except reconcile reads these."""

from __future__ import annotations

import json
from datetime import datetime

from anomaly_detector import config as document
from anomaly_detector.config import Config, Redshift
from anomaly_detector.errors import PermanentError
from anomaly_detector.lake import layout
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.ledger import Ledger


def complete(body: bytes, redshift: Redshift | None) -> bytes:
    """The document with the warehouse of the functions' environment, so that another warehouse is
    another configuration. A document that names one itself, or is not valid, stays as it is.
    """
    try:
        found = json.loads(body)
    except ValueError:
        return body
    if redshift is None or not isinstance(found, dict) or "redshift" in found:
        return body
    return json.dumps(found | {"redshift": redshift.model_dump(mode="json")}).encode()


def keep_current(store: ObjectStore, redshift: Redshift | None = None) -> tuple[str, datetime]:
    """Copy the uploaded document, valid or not, to a key with its hash; return the hash, and when
    the document was uploaded.

    Parameters
    ----------
    redshift : completes the document: see `complete`.

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
    body = complete(found.body, redshift)
    config_hash = document.document_hash(body)
    store.put(layout.configuration_version(config_hash), body, "application/json")
    return config_hash, found.modified


def load(store: ObjectStore, config_hash: str) -> Config:
    """The configuration with this hash.

    Raises
    ------
    PermanentError
        Names each invalid key; or there is no such document.
    """
    return document.load(store.get(layout.configuration_version(config_hash)))


def in_force(store: ObjectStore, ledger: Ledger) -> Config:
    """The configuration in force.

    Raises
    ------
    PermanentError
        If there is none yet.
    """
    found = ledger.detector()
    if not found.is_live or found.config_hash is None:
        raise PermanentError(
            "No configuration is in force yet: wait until the detector is ACTIVE (command status)."
        )
    return load(store, found.config_hash)
