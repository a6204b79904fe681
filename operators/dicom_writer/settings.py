"""What of the writer can be set."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class WriterSettings(BaseModel):
    """Section `dicom_writer` of app.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    overwrite: bool = Field(
        default=False,
        description="Replace a former Lentiform result in the output folder. Off, because a "
        "result may already have been corrected or signed; other files are never replaced.",
    )
    derived_maps: bool = Field(
        default=True,
        description="Write the maps that were computed (QSM, SWI, FA, CBF) as DICOM series, so "
        "that the PACS keeps what the measurements rest on.",
    )
    bids: bool = Field(
        default=True,
        description="Write the BIDS-derivatives tree (NIfTI). Off where only the PACS is served.",
    )
    first_series_number: int = Field(
        default=9000,
        ge=1,
        le=2**31 - 100,
        description="Series number of the first object written; results follow it. High, so that "
        "viewers list results after the acquired series.",
    )
