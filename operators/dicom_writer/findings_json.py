"""findings.json: everything the run found, for programs. Schema in docs/outputs.md.

No patient name or identifier is in it; study and series UIDs are.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from operators.dicom_writer.burden import counts_by_class, counts_by_location, imaging_pattern
from operators.dicom_writer.segmentation import region_segments
from operators.dicom_writer.status import status
from operators.labels import LESIONS, RESEARCH_NOTICE, STRUCTURES, LesionClass
from operators.types import (
    Asymmetry,
    Decision,
    Findings,
    Lesion,
    LesionMap,
    LncEstimates,
    LncScore,
    ModelIdentity,
    NotAssessed,
    RegionMap,
    RegionMeasure,
    Registration,
    Statistic,
)

SCHEMA = "lentiform-findings/1"


def findings_document(findings: Findings) -> dict[str, Any]:
    """The document as plain data; numbers that do not exist are null, never NaN."""
    study = findings.study
    return {
        "schema": SCHEMA,
        "study_uid": study.study.uid,
        "research_only": True,
        "notice": RESEARCH_NOTICE,
        "reference": study.reference.value,
        "status": status(findings),
        "lesions": lesions_entry(findings.lesions),
        "regions": regions_entry(findings.regions),
        "lnc": lnc_entry(findings.lnc),
        "series": [decision_entry(decision) for decision in study.study.decisions],
        "registrations": [registration_entry(entry) for entry in study.registrations.values()],
        "dropped": {role.value: reason for role, reason in study.dropped.items()},
        "warnings": list(study.study.warnings),
    }


def lesions_entry(lesions: LesionMap | NotAssessed) -> dict[str, Any]:
    """Counts, pattern and items; all of them null where lesions were not assessed."""
    if isinstance(lesions, NotAssessed):
        absent = ("model", "engine", "inputs", "counts", "by_location", "pattern", "items")
        return {"assessed": False, "reason": lesions.reason, **dict.fromkeys(absent)}
    return {
        "assessed": True,
        "reason": None,
        "model": model_entry(lesions.model),
        "engine": lesions.engine,
        "inputs": [role.value for role in lesions.inputs],
        "counts": counts_by_class(lesions.lesions),
        "by_location": counts_by_location(lesions.lesions),
        "pattern": imaging_pattern(lesions.lesions).value,
        "items": [_lesion_entry(lesion) for lesion in lesions.lesions],
    }


def regions_entry(regions: RegionMap | NotAssessed) -> dict[str, Any]:
    """Method, quality and volumes; null where regions were not assessed."""
    if isinstance(regions, NotAssessed):
        absent = ("method", "source", "quality", "items")
        return {"assessed": False, "reason": regions.reason, **dict.fromkeys(absent)}
    voxel_mm3 = regions.labels.voxel_volume
    return {
        "assessed": True,
        "reason": None,
        "method": regions.method,
        "source": regions.source.value,
        "quality": number(regions.quality),
        "items": [
            {
                "name": STRUCTURES[label].label,
                "volume_mm3": number(voxel_mm3 * int((regions.labels.array == label).sum())),
            }
            for label in region_segments(regions)
        ],
    }


def lnc_entry(lnc: LncScore | NotAssessed) -> dict[str, Any]:
    """Measures, asymmetries and a model's estimates; null where the LNC was not assessed."""
    if isinstance(lnc, NotAssessed):
        absent = ("notes", "regions", "asymmetries", "lesion_counts", "lesion_volume_mm3",
                  "estimates")
        return {"assessed": False, "reason": lnc.reason, **dict.fromkeys(absent)}
    return {
        "assessed": True,
        "reason": None,
        "notes": list(lnc.notes),
        "regions": [_measure_entry(measure) for measure in lnc.measures],
        "asymmetries": [_asymmetry_entry(asymmetry) for asymmetry in lnc.asymmetries],
        "lesion_counts": _counts_entry(lnc.lesion_counts),
        "lesion_volume_mm3": number(lnc.lesion_volume_mm3),
        "estimates": estimates_entry(lnc.estimates),
    }


def estimates_entry(estimates: LncEstimates | NotAssessed) -> dict[str, Any]:
    """What the LNC model says; null where it says nothing."""
    if isinstance(estimates, NotAssessed):
        absent = ("model", "notes", "regions", "labels", "reference", "z_scores")
        return {"assessed": False, "reason": estimates.reason, **dict.fromkeys(absent)}
    return {
        "assessed": True,
        "reason": None,
        "model": model_entry(estimates.model),
        "notes": list(estimates.notes),
        "regions": [
            {"name": one.name, "quantity": one.role.value, "unit": one.unit.value,
             "measured": number(one.measured), "estimate": number(one.value),
             "low": number(one.low), "high": number(one.high), "subjects": one.subjects}
            for one in estimates.regions
        ],
        "labels": [
            {"name": one.name, "estimate": one.value, "right_when_so_called": number(one.right),
             "balanced_accuracy": [number(value) for value in one.balanced_accuracy],
             "chance": number(one.chance), "subjects": one.subjects}
            for one in estimates.labels
        ],
        "reference": estimates.reference or None,
        "z_scores": [
            {"name": one.structure.name, "side": one.structure.side.value,
             "quantity": "volume" if one.role is None else one.role.value,
             "z": number(one.value)}
            for one in estimates.z_scores
        ],
    }


def model_entry(model: ModelIdentity) -> dict[str, str]:
    """Which network answered."""
    return {"name": model.name, "version": model.version, "sha256": model.sha256,
            "training_data": model.training_data}


def decision_entry(decision: Decision) -> dict[str, Any]:
    """What became of one series; role null is a rejection."""
    return {
        "series_uid": decision.series_uid,
        "series_number": decision.series_number,
        "description": decision.description,
        "modality": decision.modality,
        "image_type": list(decision.image_type),
        "volumes": decision.volume_count,
        "shape": None if decision.shape is None else list(decision.shape),
        "role": None if decision.role is None else decision.role.value,
        "reason": decision.reason,
    }


def registration_entry(registration: Registration) -> dict[str, Any]:
    """How one contrast came onto the reference grid."""
    return {
        "role": registration.role.value,
        "carrier": registration.carrier.value,
        "method": registration.method,
        "quality": number(registration.quality),
        "accepted": registration.accepted,
        "reason": registration.reason,
        "matrix_lps_mm": [[number(value) for value in row] for row in registration.matrix_lps_mm],
    }


def number(value: float | None) -> float | None:
    """`value` to six digits; None where it is not a finite number."""
    return None if value is None or not isfinite(value) else float(f"{value:.6g}")


def _lesion_entry(lesion: Lesion) -> dict[str, Any]:
    site = lesion.location
    return {
        "index": lesion.index,
        "class": LESIONS[lesion.kind].abbreviation,
        "location": site.label if site else None,
        "mars": site.mars if site else None,
        "category": site.category.value if site and site.category else None,
        "volume_mm3": number(lesion.volume_mm3),
        "diameter_mm": number(lesion.diameter_mm),
        "centroid_lps_mm": [number(value) for value in lesion.centroid_lps_mm],
        "mean_ppm": number(lesion.mean_ppm),
        "peak_ppm": number(lesion.peak_ppm),
        "probability": number(lesion.probability),
        "vesselness": number(lesion.vesselness),
        "reason": lesion.reason,
        "tracking_uid": lesion.uid,
    }


def _measure_entry(measure: RegionMeasure) -> dict[str, Any]:
    return {
        "name": measure.structure.name,
        "side": measure.structure.side.value,
        "volume_mm3": number(measure.volume_mm3),
        "quantities": {
            role.value: _statistic_entry(value) for role, value in measure.quantities.items()
        },
        "lesion_counts": _counts_entry(measure.lesion_counts),
        "lesion_volume_mm3": number(measure.lesion_volume_mm3),
    }


def _counts_entry(counts: Mapping[LesionClass, int]) -> dict[str, int]:
    return {LESIONS[kind].abbreviation: count for kind, count in counts.items()}


def _statistic_entry(statistic: Statistic) -> dict[str, Any]:
    return {
        "mean": number(statistic.mean), "sd": number(statistic.sd),
        "median": number(statistic.median), "coverage": number(statistic.coverage),
        "unit": statistic.unit.value,
    }


def _asymmetry_entry(asymmetry: Asymmetry) -> dict[str, Any]:
    return {
        "name": asymmetry.name,
        "quantity": "volume" if asymmetry.role is None else asymmetry.role.value,
        "percent": number(asymmetry.percent),
    }
