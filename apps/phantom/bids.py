"""The truth behind a simulated study, beside it: NIfTI in RAS, and a list of what was planted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from apps.phantom.types import PlantedLesion, Subject, Truth
from operators.labels import STRUCTURES

if TYPE_CHECKING:
    from highdicom import Volume


def write_truth(subject: Subject, folder: Path) -> Path:
    """Write `subject.truth` into `folder`/truth and return the path of its truth.json.

    Images share the GRE grid: `desc-truth_dseg` (index of each planted object),
    `desc-truth_chimap` (ppm), `desc-brain_mask`, `desc-regions_dseg` (numbers of
    `operators.labels.STRUCTURES`, named in the .tsv beside it). Coordinates in truth.json are
    DICOM LPS in mm, affines of the NIfTI files RAS.
    """
    truth_folder = folder / "truth"
    truth_folder.mkdir(parents=True, exist_ok=True)
    truth = subject.truth
    images = {
        "desc-truth_dseg": (truth.lesions, np.uint16),
        "desc-truth_chimap": (truth.susceptibility_ppm, np.float32),
        "desc-brain_mask": (truth.brain, np.uint8),
        "desc-regions_dseg": (truth.regions, np.uint8),
    }
    for name, (volume, dtype) in images.items():
        write_nifti(volume, np.dtype(dtype), truth_folder / f"{name}.nii.gz")
    _write_region_names(truth, truth_folder / "desc-regions_dseg.tsv")
    path = truth_folder / "truth.json"
    path.write_text(json.dumps(_description(subject), indent=2) + "\n", encoding="utf-8")
    return path


def write_nifti(volume: Volume, dtype: np.dtype, path: Path) -> None:
    """Write a volume, LPS, as NIfTI, RAS."""
    import nibabel

    image = volume.with_array(volume.array.astype(dtype)).to_nibabel()
    image.header.set_data_dtype(dtype)
    nibabel.save(image, path)


def _write_region_names(truth: Truth, path: Path) -> None:
    present = [int(number) for number in np.unique(truth.regions.array) if number]
    rows = [f"{number}\t{STRUCTURES[number].label}" for number in present]
    path.write_text("\n".join(["index\tname", *rows]) + "\n", encoding="utf-8")


def _description(subject: Subject) -> dict[str, object]:
    return {
        "simulated": True,
        "seed": subject.seed,
        "anatomy": subject.anatomy,
        "coordinates": "DICOM LPS, mm",
        "lesions": [_planted(lesion) for lesion in subject.truth.planted],
    }


def _planted(lesion: PlantedLesion) -> dict[str, object]:
    structure = STRUCTURES.get(lesion.structure)
    return {
        "index": lesion.index,
        "kind": lesion.kind.value,
        "centre_lps_mm": [round(float(part), 3) for part in lesion.centre_lps_mm],
        "diameter_mm": round(float(lesion.diameter_mm), 3),
        "susceptibility_ppm": round(float(lesion.susceptibility_ppm), 4),
        "structure": structure.label if structure else None,
    }
