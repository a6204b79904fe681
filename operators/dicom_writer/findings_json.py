"""findings.json: everything the run found, for programs. Schema in docs/outputs.md.

No patient name or identifier is in it; study and series UIDs are.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

from operators.dicom_writer.burden import counts_by_class, counts_by_location, imaging_pattern
from operators.dicom_writer.segmentation import region_segments
from operators.dicom_writer.status import status
from operators.labels import LESIONS, RESEARCH_NOTICE, STRUCTURES
from operators.types import (
    Asymmetry,
    Decision,
    Findings,
    Lesion,
    LesionMap,
    LncScore,
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
    model = lesions.model
    return {
        "assessed": True,
        "reason": None,
        "model": {
            "name": model.name, "version": model.version, "sha256": model.sha256,
            "training_data": model.training_data,
        },
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
    """Measures and asymmetries; null where the LNC was not assessed."""
    if isinstance(lnc, NotAssessed):
        absent = ("notes", "regions", "asymmetries")
        return {"assessed": False, "reason": lnc.reason, **dict.fromkeys(absent)}
    return {
        "assessed": True,
        "reason": None,
        "notes": list(lnc.notes),
        "regions": [_measure_entry(measure) for measure in lnc.measures],
        "asymmetries": [_asymmetry_entry(asymmetry) for asymmetry in lnc.asymmetries],
    }


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
        "lesion_counts": {
            LESIONS[kind].abbreviation: count for kind, count in measure.lesion_counts.items()
        },
        "lesion_volume_mm3": number(measure.lesion_volume_mm3),
    }


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
