"""What of the region segmenter can be set."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class RegionSettings(BaseModel):
    """Section `region_segmenter` of app.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_agreement: float = Field(
        default=0.5, ge=0, le=1,
        description="Least mean Dice (0 to 1) of the nuclei as the networks see them coarsely and "
        "finely; below it the template is registered instead.",
    )
    spacing_mm: float = Field(
        default=2.0, gt=0.5, le=4,
        description="Isotropic voxel, mm, at which the template is registered; finer costs time "
        "by the cube and moved the nuclei by less than a voxel in trials.",
    )
    threads: int = Field(
        default=2, ge=1,
        description="Threads of the template registration.",
    )
    min_network_overlap: float = Field(
        default=0.75, ge=0, le=1,
        description="Least Dice overlap (0 to 1) of the networks' brain with the brain mask; below "
        "it the networks are not believed. Set after a right brain had overlapped by less than "
        "0.80 the mask of a real T1w that took jaw muscle for brain (docs/regions.md).",
    )
    min_overlap: float = Field(
        default=0.8, ge=0, le=1,
        description="Least Dice overlap (0 to 1) of the template's brain with the brain mask; "
        "below it the registration has failed. Right ones reach 0.94 and more, 0.84 where the mask "
        "took jaw muscle for brain.",
    )
    min_correlation: float = Field(
        default=0.5, ge=0, le=1,
        description="Least correlation (0 to 1) of a T1w with the template brought to it, inside "
        "the brain; not asked of other contrasts.",
    )
