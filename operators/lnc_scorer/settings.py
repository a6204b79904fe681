"""What of the LNC scorer can be set."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LncSettings(BaseModel):
    """Section `lnc_scorer` of app.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    full_coverage: float = Field(
        default=0.95, ge=0, le=1,
        description="Share of a region's voxels (0 to 1) that must lie inside a contrast's field "
        "of view for the region to count as covered; below it the report names region and share. "
        "Our choice: a rim of partial voxels may be lost, a slab's end may not.",
    )
