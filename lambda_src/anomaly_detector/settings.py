"""Settings of a function from its environment: one typed model, read once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, Json, ValidationError

from anomaly_detector.config import Redshift
from anomaly_detector.errors import PermanentError


class Settings(BaseModel):
    """Names and ARNs set by Terraform, the same for every function.

    Attributes
    ----------
    redshift : the warehouse, how to sign in, and the role of UNLOAD; no event and no document can
        name others.
    attached_role_arn : the UNLOAD role that the module attaches to the warehouse; None if it uses
        an existing one.
    pages : whether delivery keeps pages in the bucket.
    clock_tolerance_seconds : how far a scheduled time may be ahead of the function's clock.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    detector_name: str = Field(alias="DETECTOR_NAME", min_length=1)
    table_name: str = Field(alias="TABLE_NAME", min_length=1)
    bucket_name: str = Field(alias="BUCKET_NAME", min_length=1)
    pipeline_arn: str = Field(alias="PIPELINE_ARN", min_length=1)
    crawl_arn: str = Field(alias="CRAWL_ARN", min_length=1)
    operations_topic_arn: str = Field(alias="OPERATIONS_TOPIC_ARN", min_length=1)
    redshift: Json[Redshift] = Field(alias="REDSHIFT")
    attached_role_arn: str | None = Field(alias="ATTACHED_ROLE_ARN", default=None)
    pages: bool = Field(alias="PAGES", default=False)
    clock_tolerance_seconds: int = Field(alias="CLOCK_TOLERANCE_SECONDS", default=60, ge=0)
    region: str = Field(alias="AWS_REGION", default="us-east-1")

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Read the environment.

        Raises
        ------
        PermanentError
            Names every variable that is missing or invalid.
        """
        try:
            return cls.model_validate(dict(environment))
        except ValidationError as error:
            names = sorted({str(fault["loc"][0]) for fault in error.errors()})
            message = f"Environment variables must be set: {', '.join(names)}."
            raise PermanentError(message) from None
