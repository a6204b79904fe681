"""The BIDS-derivatives tree: masks, label maps, probabilities and computed maps as NIfTI.

Masks lie on the grid of the reference contrast (space-orig), computed maps on their own. The
subject label follows from the study UID; no patient identifier is in the tree.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from operators.dicom_writer.derived_maps import derived_series
from operators.dicom_writer.findings_json import number
from operators.dicom_writer.imprint import SOFTWARE
from operators.dicom_writer.manifest import write_json
from operators.dicom_writer.segmentation import lesion_label, region_segments
from operators.labels import LESIONS, RESEARCH_NOTICE, STRUCTURES
from operators.types import Findings, LesionMap, NotAssessed, RegionMap, Role, Series, Unit

if TYPE_CHECKING:
    from highdicom import Volume

BIDS_VERSION = "1.10.0"
_PROBABILITY_STEP = 1 / 255

_LESION_COLUMNS = (
    "location", "volume_mm3", "diameter_mm", "mean_ppm", "peak_ppm", "probability", "tracking_uid",
)
_COLUMN_MEANINGS: dict[str, dict[str, str]] = {
    "mars": {"Description": "MARS location the region counts towards"},
    "location": {"Description": "Region the lesion's centre lies in"},
    "volume_mm3": {"Description": "Voxel count times voxel volume", "Units": "mm^3"},
    "diameter_mm": {"Description": "Largest in-plane diameter", "Units": "mm"},
    "mean_ppm": {"Description": "Mean susceptibility", "Units": "ppm"},
    "peak_ppm": {"Description": "Susceptibility of largest magnitude, with sign", "Units": "ppm"},
    "probability": {"Description": "Probability of the class, 0 to 1 (docs/outputs.md)"},
    "tracking_uid": {"Description": "Tracking UID, the same in DICOM SEG and SR"},
}

_MAP_NAMES: dict[Role, tuple[str, str]] = {
    Role.SWI: ("anat", "swi"),
    Role.MIP: ("anat", "minIP"),
    Role.QSM: ("anat", "Chimap"),
    Role.FA: ("dwi", "model-tensor_param-fa_dwimap"),
    Role.MD: ("dwi", "model-tensor_param-md_dwimap"),
    Role.CBF: ("perf", "cbf"),
}


# Names in use in the field (QSMxT, BEP 16) that the specification does not list yet.
_NOT_YET_BIDS = ("swi", "minIP", "dwimap", "cbf")


def subject(study_uid: str) -> str:
    """The subject label, "sub-" and eight hexadecimal digits of the study UID's SHA-256."""
    return f"sub-{hashlib.sha256(study_uid.encode()).hexdigest()[:8]}"


def write_bids(findings: Findings, folder: Path, *, version: str) -> None:
    """Write the tree into `folder`, which must not exist."""
    study = findings.study.study
    reference = f"urn:oid:{study.series[findings.study.reference].series_uid}"
    tree = _Tree(folder, subject(study.uid), reference)
    folder.mkdir(parents=True)
    write_json(folder / "dataset_description.json", _description(version))
    (folder / ".bidsignore").write_text("".join(f"*_{name}.*\n" for name in _NOT_YET_BIDS))
    (folder / "README").write_text(
        f"Results of {SOFTWARE} {version}. {RESEARCH_NOTICE} Field names and units: docs/outputs.md"
        " of the software.\n", encoding="utf-8",
    )
    tree.image("anat", "space-orig_label-brain_mask", findings.study.brain.astype(np.uint8),
               {"Type": "Brain", "Manual": False, "Description": "Brain mask"})
    if not isinstance(findings.regions, NotAssessed):
        _write_regions(tree, findings.regions)
    if not isinstance(findings.lesions, NotAssessed):
        _write_lesions(tree, findings.lesions)
    for series in derived_series(study):
        _write_map(tree, series)


@dataclass(frozen=True, slots=True)
class _Tree:
    """One subject's folder; `name` is a file name without subject and extension.

    `reference` says on which image space-orig lies: the source series as a URN.
    """

    folder: Path
    subject: str
    reference: str

    def path(self, kind: str, name: str, extension: str) -> Path:
        folder = self.folder / self.subject / kind
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{self.subject}_{name}{extension}"

    def image(
        self, kind: str, name: str, volume: Volume, sidecar: dict[str, Any], *,
        step: float | None = None,
    ) -> None:
        """Write a volume and its JSON; with `step`, as uint8 multiples of it."""
        import nibabel

        if step is not None:
            volume = volume.with_array(np.rint(volume.array / step).astype(np.uint8))
        image = volume.to_nibabel()
        image.header.set_xyzt_units("mm")
        if step is not None:
            image.header.set_slope_inter(step, 0)
        nibabel.save(image, self.path(kind, name, ".nii.gz"))
        space = {"SpatialReference": self.reference} if name.startswith("space-orig") else {}
        write_json(self.path(kind, name, ".json"), {**sidecar, **space, "Notice": RESEARCH_NOTICE})

    def table(self, kind: str, name: str, head: Sequence[str], rows: Iterable[Sequence]) -> None:
        """Write a TSV; what is None becomes n/a."""
        with self.path(kind, name, ".tsv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter="\t", lineterminator="\n")
            writer.writerow(head)
            writer.writerows(["n/a" if cell is None else cell for cell in row] for row in rows)


def _description(version: str) -> dict[str, Any]:
    return {
        "Name": f"{SOFTWARE} results",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": SOFTWARE, "Version": version, "Description": RESEARCH_NOTICE}],
    }


def _columns(*names: str) -> dict[str, Any]:
    """Entries of a sidecar that describe a table's own columns."""
    return {name: _COLUMN_MEANINGS[name] for name in names}


def _write_regions(tree: _Tree, regions: RegionMap) -> None:
    name = "space-orig_seg-regions_dseg"
    sidecar = {"Description": regions.method, "Manual": False, **_columns("mars")}
    tree.image("anat", name, regions.labels.astype(np.uint8), sidecar)
    head = ("index", "name", "abbreviation", "color", "mars")
    present = (STRUCTURES[label] for label in region_segments(regions))
    tree.table("anat", name, head, [
        (entry.number, entry.label, entry.key, _hex(entry.rgb), entry.mars) for entry in present
    ])


def _write_lesions(tree: _Tree, lesions: LesionMap) -> None:
    name = "space-orig_seg-lesions_dseg"
    model = f"{lesions.model.name} {lesions.model.version}"
    sidecar = {
        "Description": f"Lesions by {model}, trained on: {lesions.model.training_data}",
        "Type": "Lesion", "Manual": False,
    }
    tree.image("anat", name, lesions.labels, {**sidecar, **_columns(*_LESION_COLUMNS)})
    head = ("index", "name", "abbreviation", "color", *_LESION_COLUMNS)
    tree.table("anat", name, head, [
        (
            lesion.index, lesion_label(lesion), LESIONS[lesion.kind].abbreviation,
            _hex(LESIONS[lesion.kind].rgb), lesion.location.label if lesion.location else None,
            number(lesion.volume_mm3), number(lesion.diameter_mm), number(lesion.mean_ppm),
            number(lesion.peak_ppm), number(lesion.probability), lesion.uid,
        )
        for lesion in lesions.lesions
    ])
    for kind, label in LESIONS.items():
        indices = [lesion.index for lesion in lesions.of(kind)]
        mask = np.isin(lesions.labels.array, indices).astype(np.uint8)
        tree.image("anat", f"space-orig_label-{label.abbreviation}_mask",
                   lesions.labels.with_array(mask), sidecar)
    for kind, probability in lesions.probabilities.items():
        tree.image("anat", f"space-orig_label-{LESIONS[kind].abbreviation}_probseg", probability,
                   sidecar, step=_PROBABILITY_STEP)


def _write_map(tree: _Tree, series: Series) -> None:
    kind, suffix = _MAP_NAMES[series.role]
    if series.unit is Unit.RELATIVE_CBF:
        suffix = f"desc-relative_{suffix}"
    sidecar = {
        "Units": series.unit.value, "Description": series.reason,
        "DerivedFrom": [role.value for role in series.derived_from],
        "SkullStripped": series.role is Role.QSM,
    }
    for echo, volume in enumerate(series.volumes, 1):
        name = suffix if len(series.volumes) == 1 else f"echo-{echo}_{suffix}"
        tree.image(kind, name, volume.astype(np.float32), sidecar)


def _hex(rgb: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)
