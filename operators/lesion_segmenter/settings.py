"""Settings of the lesion segmenter: the `lesion_segmenter` section of app.yaml."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class LesionSettings(BaseModel):
    """What counts as a lesion, and what only looks like one.

    Operating points left at None are those that the model's own metadata carries: they were chosen
    on validation subjects together with the weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    microbleed_probability: float | None = Field(
        default=None, gt=0, lt=1,
        description="Least probability of a microbleed, 0 to 1; None: the model's operating point.",
    )
    iron_probability: float | None = Field(
        default=None, gt=0, lt=1,
        description="Least probability of an iron deposit, 0 to 1; None: the model's own.",
    )
    calcification_probability: float | None = Field(
        default=None, gt=0, lt=1,
        description="Least probability of a calcification, 0 to 1; None: the model's own.",
    )
    voxel_probability: float = Field(
        default=0.5, gt=0, lt=1,
        description="A voxel belongs to a lesion when the lesion classes together reach this "
        "probability: half, so that the outline is the most likely one.",
    )
    faint_probability: float = Field(
        default=0.05, gt=0, lt=1,
        description="Spots that reach only this are candidates too, where the model has a second "
        "stage to reject them; their outline is where they reach half of their peak.",
    )
    min_volume_mm3: float = Field(
        default=2.0, ge=0,
        description="Smaller components are dropped, mm3; one voxel of a usual SWI (1 x 1 x 2 mm) "
        "is the least that can be measured. Equality keeps.",
    )
    max_microbleed_diameter_mm: float = Field(
        default=10.0, gt=0,
        description="A microbleed is at most this wide, mm (STRIVE, MARS: 10 mm).",
    )
    calcium_max_ppm: float = Field(
        default=-0.03, le=0,
        description="Mean susceptibility at or below which a lesion is calcium, ppm. Blood and "
        "iron are paramagnetic, calcium is diamagnetic; the margin for QSM noise is our choice.",
    )
    blood_min_ppm: float = Field(
        default=0.03, ge=0,
        description="Mean susceptibility at or above which a lesion is not calcium, ppm; the "
        "margin for QSM noise is our choice.",
    )
    max_vesselness: float = Field(
        default=1.0, gt=0, le=1,
        description="A microbleed candidate more tube-like than this (0 round, 1 tube) is a vessel "
        "in cross-section. 1: shape is left to the lesion's probability, of which it is a part.",
    )
    doubt_probability: float = Field(
        default=0.05, gt=0, lt=1,
        description="A candidate below the operating point that may still be a microbleed with "
        "this probability, and in which the second stage sees a vessel with `vessel_probability`, "
        "is listed as a vessel. Our choice: below, most veins of a scan would be listed.",
    )
    vessel_probability: float = Field(
        default=0.5, gt=0, le=1,
        description="See `doubt_probability`; more likely than not. 1 lists none.",
    )
    location_reach_mm: float = Field(
        default=3.0, ge=0,
        description="A lesion outside every structure takes the nearest within this distance, mm.",
    )
    magnitude_min_te_field: float = Field(
        default=40.0, gt=0,
        description="Without SWI, the magnitude stands in when echo time times field strength "
        "reaches this, ms T (13 ms at 3 T, 27 ms at 1.5 T): below, T2* contrast is too weak for "
        "microbleeds. Our choice; it refuses the usual GRE field maps.",
    )
    max_slice_spacing_mm: float = Field(
        default=6.0, gt=0,
        description="Wider slices are not assessed, mm: the model was trained up to 4 mm, and a "
        "microbleed between slices would be missed in silence.",
    )
    engine: Literal["auto", "openvino", "torch"] = Field(
        default="auto",
        description="What runs the network. auto: OpenVINO in bf16 where the CPU computes in it, "
        "else torch in fp32. openvino: OpenVINO in bf16 or fp32. torch: fp32. Without bf16 torch "
        "is faster and starts 1.5 CPU s sooner (benchmarks.lesion_inference).",
    )
    slices_per_batch: int = Field(
        default=2, ge=1,
        description="Slices run at once: more leave the cache of a CPU sooner and are slower.",
    )
