"""What was planted against what was found: the table at the end of the demo."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.phantom.types import Planted

SAME_PLACE_MM = 5.0
"""Centres within this distance are the same lesion, or within the lesion's own diameter."""
_MIMICS = (Planted.VEIN, Planted.FLOW_VOID)


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
    """A planted object with the finding that matched it, or either one alone."""

    planted: Planting | None
    found: Finding | None
    distance_mm: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rows in the order of planting, unmatched findings last; `reason` if not assessed."""

    rows: tuple[Row, ...]
    reason: str | None = None

    def found_as(self, kind: Planted, *, over_mm: float = 0.0) -> Counter[str]:
        """Classes that objects of `kind` larger than `over_mm` were found as; "" is not found."""
        return Counter(
            row.found.label if row.found else ""
            for row in self.rows
            if row.planted and row.planted.kind is kind and row.planted.diameter_mm > over_mm
        )

    @property
    def unplanted(self) -> tuple[Finding, ...]:
        """Findings with nothing planted near."""
        return tuple(row.found for row in self.rows if row.found and row.planted is None)

    def __str__(self) -> str:
        if self.reason is not None:
            return f"Lesions were not assessed: {self.reason}"
        shown = [row for row in self.rows if not _is_silent(row)]
        return "\n".join([_HEAD, *(_line(row) for row in shown), *_sums(self)])


def compare(truth_json: Path, findings_json: Path) -> Comparison:
    """Match findings to planted objects, one to one, nearest pair first.

    A pair may match when its centres are no farther apart than 5 mm or the planted diameter,
    whichever is larger.
    """
    planted = _read_planted(json.loads(truth_json.read_text(encoding="utf-8")))
    lesions = json.loads(findings_json.read_text(encoding="utf-8"))["lesions"]
    if not lesions["assessed"]:
        return Comparison((), str(lesions.get("reason", "no reason given")))
    return Comparison(match(planted, _read_found(lesions["items"])))


def match(planted: Sequence[Planting], found: Sequence[Finding]) -> tuple[Row, ...]:
    """Rows for all of both; see `compare`. Ties go to the object planted first."""
    pairs = sorted(
        (distance, i, j)
        for i, planting in enumerate(planted)
        for j, finding in enumerate(found)
        if (distance := math.dist(planting.centre_lps_mm, finding.centre_lps_mm))
        <= max(SAME_PLACE_MM, planting.diameter_mm)
    )
    partner: dict[int, tuple[int, float]] = {}
    taken: set[int] = set()
    for distance, i, j in pairs:
        if i not in partner and j not in taken:
            partner[i] = (j, distance)
            taken.add(j)
    rows = []
    for i, planting in enumerate(planted):
        j, distance = partner.get(i, (-1, math.nan))
        rows.append(Row(planting, found[j], distance) if j >= 0 else Row(planting, None, None))
    rows += [Row(None, finding, None) for j, finding in enumerate(found) if j not in taken]
    return tuple(rows)


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
    """A vein or flow void that nobody reported is as it should be."""
    return row.planted is not None and row.found is None and row.planted.kind in _MIMICS


def _line(row: Row) -> str:
    kind, where, size = "-", "", ""
    if row.planted:
        kind, where = row.planted.kind.value.replace("_", " "), row.planted.structure or "-"
        size = f"{row.planted.diameter_mm:.1f}"
    label = row.found.label if row.found else "not found"
    found_size = f"{row.found.diameter_mm:.1f}" if row.found else ""
    apart = f"{row.distance_mm:.1f}" if row.distance_mm is not None else ""
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
