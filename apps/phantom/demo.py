"""What was planted against what was found: the table at the end of the demo."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.phantom.types import Planted
from operators.lesion_segmenter.matching import match as overlaps

Labels = NDArray[np.int32]

_MIMICS = (Planted.VEIN, Planted.FLOW_VOID, Planted.SIDEROSIS, Planted.CAVERNOMA)


@dataclass(frozen=True, slots=True)
class Planting:
    """One planted object as truth.json lists it; LPS, millimetres."""

    index: int
    kind: Planted
    centre_lps_mm: tuple[float, float, float]
    diameter_mm: float
    structure: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One lesion as findings.json lists it; `label` is `LesionLabel.abbreviation`."""

    index: int
    label: str
    centre_lps_mm: tuple[float, float, float]
    diameter_mm: float


@dataclass(frozen=True, slots=True)
class Row:
    """A planted object with the finding that matched it, or either one alone.

    `merged`: the finding covers the object but matched another, larger in it.
    """

    planted: Planting | None
    found: Finding | None
    merged: bool = False

    @property
    def label(self) -> str:
        """What the object was found as: "CMB"; "in NHID" where merged; "" where not found."""
        if self.found is None:
            return ""
        return f"in {self.found.label}" if self.merged else self.found.label


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rows in the order of planting, unmatched findings last; `reason` if not assessed."""

    rows: tuple[Row, ...]
    reason: str | None = None

    def found_as(self, kind: Planted, *, over_mm: float = 0.0) -> Counter[str]:
        """Labels (`Row.label`) of objects of `kind` larger than `over_mm`; "" is not found."""
        return Counter(
            row.label
            for row in self.rows
            if row.planted and row.planted.kind is kind and row.planted.diameter_mm > over_mm
        )

    @property
    def unplanted(self) -> tuple[Finding, ...]:
        """Findings that match nothing planted."""
        return tuple(row.found for row in self.rows if row.found and row.planted is None)

    def __str__(self) -> str:
        if self.reason is not None:
            return f"Lesions were not assessed: {self.reason}"
        shown = [row for row in self.rows if not _is_silent(row)]
        return "\n".join([_HEAD, *(_line(row) for row in shown), *_sums(self)])


def compare(truth: Path, result: Path) -> Comparison:
    """Match what a run found to what `truth` says was planted; both are folders.

    Two match when their masks share a voxel, one to one, the largest overlap first. An object that
    shares voxels only with findings that matched another one is `merged`.
    """
    planted = _read_planted(json.loads((truth / "truth.json").read_text(encoding="utf-8")))
    findings = json.loads((result / "findings.json").read_text(encoding="utf-8"))
    lesions = findings["lesions"]
    if not lesions["assessed"]:
        return Comparison((), str(lesions.get("reason", "no reason given")))
    (mask,) = result.glob("bids/sub-*/anat/*lesions_dseg.nii.gz")
    planted_mask, found_mask = _masks(truth / "desc-truth_dseg.nii.gz", mask)
    return Comparison(match(planted, _read_found(lesions["items"]), planted_mask, found_mask))


def match(
    planted: Sequence[Planting], found: Sequence[Finding], planted_mask: Labels, found_mask: Labels
) -> tuple[Row, ...]:
    """Rows for all of both; see `compare`. The masks share a grid and hold the indices."""
    pairs = {true: number for number, true in overlaps(planted_mask, found_mask).items()}
    by_index = {one.index: one for one in found}
    rows = []
    for one in planted:
        if one.index in pairs:
            rows.append(Row(one, by_index[pairs[one.index]]))
            continue
        covering = np.bincount(found_mask[planted_mask == one.index], minlength=1)[1:]
        if covering.any():
            rows.append(Row(one, by_index[int(covering.argmax()) + 1], merged=True))
        else:
            rows.append(Row(one, None))
    taken = set(pairs.values())
    return tuple(rows + [Row(None, one) for one in found if one.index not in taken])


def _masks(planted: Path, found: Path) -> tuple[Labels, Labels]:
    """Both label maps on the grid of the planted one."""
    import nibabel
    from scipy.ndimage import affine_transform

    truth, result = map(nibabel.nifti1.Nifti1Image.from_filename, (planted, found))
    matrix = np.linalg.inv(result.affine) @ truth.affine
    moved = affine_transform(
        np.asarray(result.dataobj).astype(np.int32), matrix[:3, :3], matrix[:3, 3],
        output_shape=truth.shape, order=0,
    )
    return np.asarray(truth.dataobj).astype(np.int32), moved


def _read_planted(truth: dict[str, Any]) -> list[Planting]:
    return [
        Planting(
            item["index"], Planted(item["kind"]), _point(item["centre_lps_mm"]),
            float(item["diameter_mm"]), item["structure"],
        )
        for item in truth["lesions"]
    ]


def _read_found(items: Sequence[dict[str, Any]]) -> list[Finding]:
    return [
        Finding(
            item["index"], item["class"], _point(item["centroid_lps_mm"]),
            float(item["diameter_mm"]),
        )
        for item in items
    ]


def _point(values: Sequence[float]) -> tuple[float, float, float]:
    x, y, z = values
    return float(x), float(y), float(z)


_HEAD = f"{'planted':<16}{'where':<38}{'mm':>5}   {'found as':<10}{'mm':>5}{'apart mm':>10}"


def _is_silent(row: Row) -> bool:
    """A vein or flow void that nobody reported by itself is as it should be."""
    is_mimic = row.planted is not None and row.planted.kind in _MIMICS
    return is_mimic and (row.found is None or row.merged)


def _line(row: Row) -> str:
    kind, where, size = "-", "", ""
    if row.planted:
        kind, where = row.planted.kind.value.replace("_", " "), row.planted.structure or "-"
        size = f"{row.planted.diameter_mm:.1f}"
    label = row.label or "not found"
    found_size = f"{row.found.diameter_mm:.1f}" if row.found else ""
    apart = ""
    if row.planted and row.found:
        apart = f"{math.dist(row.planted.centre_lps_mm, row.found.centre_lps_mm):.1f}"
    return f"{kind:<16}{where:<38}{size:>5}   {label:<10}{found_size:>5}{apart:>10}".rstrip()


def _sums(table: Comparison) -> list[str]:
    lines = [""]
    for kind in Planted:
        classes = table.found_as(kind)
        if not classes:
            continue
        counts = ", ".join(
            f"{label or 'not found'} {count}" for label, count in sorted(classes.items())
        )
        lines.append(f"simulated {kind.value.replace('_', ' ')}: {classes.total()} -> {counts}")
    lines.append(f"found where nothing was planted: {len(table.unplanted)}")
    return lines
