"""Settings of the quantitative maps: section `quantitative_maps` of app.yaml."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class SwiSettings(BaseModel):
    """Susceptibility-weighted image and its minimum intensity projection."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    homodyne_fraction: float = Field(
        default=0.25, gt=0, le=1,
        description="Side of the in-plane k-space window that makes the low-pass phase, as a "
        "fraction of the matrix. 64 of 256 is usual (Haacke et al., MRM 2004;52:612).",
    )
    mask_power: int = Field(
        default=4, ge=1, le=8,
        description="How often the phase mask multiplies the magnitude; 4 is usual (Haacke 2004).",
    )
    echo_weighting_t_ms: float = Field(
        default=60.0, gt=0,
        description="Echo time times field strength of the echo that is used, T ms: 20 ms at 3 T, "
        "40 ms at 1.5 T, the usual SWI echo. The echo nearest to it is taken.",
    )
    projection_mm: float = Field(
        default=16.0, gt=0,
        description="Thickness of the sliding minimum intensity projection, mm: 8 slices of 2 mm, "
        "the usual vendor setting.",
    )


class QsmSettings(BaseModel):
    """Susceptibility from phase."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inversion: Literal["regularised", "tkd"] = Field(
        default="regularised",
        description="'regularised': weighted least squares with edge-preserving smoothness; 'tkd': "
        "closed-form thresholded k-space division, faster, with more streaks.",
    )
    sphere_radii_mm: tuple[float, ...] = Field(
        default=(12.0, 5.0, 2.0), min_length=1,
        description="Radii of the V-SHARP spheres, mm. Large ones keep more of the slow part of "
        "susceptibility; the smallest is the rim of the brain that is lost, so that it decides "
        "over cortical lesions. Each costs four FFTs a step.",
    )
    deconvolution_threshold: float = Field(
        default=0.05, gt=0, lt=1,
        description="V-SHARP: k-space below this response of the largest sphere is not "
        "deconvolved (0.05: Li et al., NeuroImage 2011;55:1645).",
    )
    tkd_threshold: float = Field(
        default=0.19, gt=0, lt=2 / 3,
        description="Dipole kernel values below this are replaced by it "
        "(0.19: Schweser et al., MRM 2013;69:1582).",
    )
    smoothness: float = Field(
        default=3e-2, gt=0,
        description="Weight of the squared gradient of susceptibility (per voxel) away from edges "
        "of the magnitude, against the squared field misfit; set on simulated subjects.",
    )
    shrinkage: float = Field(
        default=1e-3, ge=0,
        description="Weight of squared susceptibility, against the squared field misfit: damps "
        "what the field hardly shows, and with it slow shading; set on simulated subjects.",
    )
    edge_fraction: float = Field(
        default=0.3, gt=0, lt=1,
        description="Share of brain voxels with the steepest magnitude that count as edges and "
        "are not smoothed (0.3: Liu et al., NeuroImage 2012;59:2560).",
    )
    iterations: int = Field(
        default=20, ge=2, description="Conjugate gradient steps in all; half of them reweighted."
    )
    rim_iterations: int = Field(
        default=40, ge=2,
        description="Conjugate gradient steps after those, with the sources outside the brain "
        "found too, which reaches the rim; half of them reweighted. More find more of rim bleeds "
        "and put more noise there; set on simulated subjects.",
    )


class PerfusionSettings(BaseModel):
    """Cerebral blood flow from arterial spin labelling (Alsop et al., MRM 2015;73:102)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    partition_coefficient_ml_g: float = Field(
        default=0.9, gt=0,
        description="Blood-brain partition coefficient lambda, ml/g (Alsop 2015, table 3).",
    )
    blood_t1_3t_ms: float = Field(
        default=1650.0, gt=0, description="T1 of arterial blood at 3 T, ms (Alsop 2015, table 3)."
    )
    blood_t1_1p5t_ms: float = Field(
        default=1350.0, gt=0, description="T1 of arterial blood at 1.5 T, ms (Alsop 2015, table 3)."
    )
    tissue_t1_ms: float = Field(
        default=1330.0, gt=0,
        description="T1 of grey matter, ms, for the saturation of an M0 at TR below 5 s "
        "(Wansapura et al., JMRI 1999;9:531, 3 T).",
    )
    pcasl_efficiency: float = Field(
        default=0.85, gt=0, le=1, description="Labelling efficiency of pCASL (Alsop 2015, table 3)."
    )
    pasl_efficiency: float = Field(
        default=0.98, gt=0, le=1, description="Labelling efficiency of PASL (Alsop 2015, table 3)."
    )


class QuantitativeMapsSettings(BaseModel):
    """What is computed when the PACS has none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    swi: SwiSettings = SwiSettings()
    qsm: QsmSettings = QsmSettings()
    perfusion: PerfusionSettings = PerfusionSettings()
    threads: int = Field(default=2, ge=1, description="Threads of the tensor fit.")
