"""A cohort: a BIDS tree of T1w, FA and CBF, and participants.tsv (docs/lnc.md).

    participants.tsv                   participant_id; age, sex, any labels; n/a where unknown
    sub-01_T1w.nii.gz
    sub-01_param-FA_dwimap.nii.gz      or _FA; in the space of T1w, or to be registered to it
    sub-01_cbf.nii.gz                  ml/100 g/min
    sub-01_seg-regions_dseg.nii.gz     numbers of operators.labels.STRUCTURES on T1w's grid; where
                                       it is there, FA and CBF must lie on T1w by their headers
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.train.annotated import annotated_scans
from operators.errors import InputError
from operators.types import Role

UNKNOWN = ("", "n/a")
_SUFFIXES: dict[Role, tuple[str, ...]] = {
    Role.T1W: ("_T1w",), Role.FA: ("_FA", "_param-FA_dwimap", "_param-fa_dwimap"),
    Role.CBF: ("_cbf",),
}
_REGIONS = "_seg-regions_dseg"


@dataclass(frozen=True, slots=True)
class Member:
    """One subject's images and row of the table; `regions` None: to be segmented."""

    name: str
    images: Mapping[Role, Path]
    regions: Path | None
    row: Mapping[str, str]

    @property
    def files(self) -> tuple[Path, ...]:
        return (*self.images.values(), *([self.regions] if self.regions else []))


@dataclass(frozen=True, slots=True)
class Cohort:
    """The subjects, in order of their names; `simulated` as dataset_description.json says."""

    members: tuple[Member, ...]
    simulated: bool

    def column(self, name: str) -> NDArray[np.str_]:
        """Values of a column, "" where unknown. InputError where there is no such column."""
        if all(name not in one.row for one in self.members):
            there = sorted({key for one in self.members for key in one.row} - {"participant_id"})
            raise InputError(
                f"participants.tsv has no column {name} (found: {', '.join(there) or 'none'}). "
                "Name one of those, or add it."
            )
        values = (one.row.get(name, "").strip() for one in self.members)
        return np.array(["" if value in UNKNOWN else value for value in values])

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A column of numbers, NaN where unknown, all NaN where there is no such column."""
        out = []
        for one in self.members:
            value = one.row.get(name, "").strip()
            try:
                number = np.nan if value in UNKNOWN else float(value)
            except ValueError:
                number = np.inf
            if np.isinf(number):
                raise InputError(
                    f"participants.tsv: {name} of {one.name} is {value!r}; wanted a number or n/a.")
            out.append(number)
        return np.array(out)


def read_cohort(folder: Path) -> Cohort:
    """The cohort below `folder`. InputError names the subject or column at fault."""
    rows = _rows(folder / "participants.tsv")
    scans = annotated_scans(folder)
    several = next((name for name in scans if "_" in name), None)
    if several is not None:
        raise InputError(
            f"{several} is one of several sessions. A subject may count once: leave one session "
            "of each, without its ses- folder."
        )
    lost = sorted(set(rows) ^ set(scans))
    if lost:
        where = "a row in participants.tsv but no image" if lost[0] in rows else (
            "images but no row in participants.tsv")
        raise InputError(f"{lost[0]} has {where} ({len(lost)} such). Add it, or take it out.")
    description = folder / "dataset_description.json"
    simulated = description.is_file() and described(description).get("Simulated") is True
    return Cohort(tuple(_member(name, files, rows[name]) for name, files in scans.items()),
                  simulated)


def described(path: Path) -> dict[str, Any]:
    """dataset_description.json. InputError where it is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}). Correct it, or take it out.") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} holds no object with named entries. Correct it.")
    return found


def _member(name: str, files: Sequence[Path], row: Mapping[str, str]) -> Member:
    images = {}
    for role, suffixes in _SUFFIXES.items():
        found = [path for path in files if path.name.split(".")[0].endswith(suffixes)]
        if len(found) > 1:
            raise InputError(f"{name} has {len(found)} files for {role.value} ({found[0].name}, "
                             f"{found[1].name}). Leave the one to be used.")
        if found:
            images[role] = found[0]
    if Role.T1W not in images:
        raise InputError(f"{name} has no _T1w.nii.gz. Add it, or take the subject out.")
    if len(images) == 1:
        raise InputError(f"{name} has neither FA nor CBF. Add one, or take the subject out.")
    regions = [path for path in files if path.name.split(".")[0].endswith(_REGIONS)]
    if len(regions) > 1:
        raise InputError(f"{name} has {len(regions)} files for regions ({regions[0].name}, "
                         f"{regions[1].name}). Leave the one to be used.")
    relative = [path.name for path in images.values() if "relative" in path.name]
    if relative:
        raise InputError(f"{relative[0]} is relative CBF, which cannot be compared between "
                         "subjects. Give ml/100 g/min, or take it out.")
    return Member(name, images, regions[0] if regions else None, row)


def _rows(path: Path) -> dict[str, dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.reader(file, delimiter="\t"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}). A cohort needs it.") from error
    lines = [[cell.strip() for cell in line] for line in lines if any(map(str.strip, line))]
    head = lines[0] if lines else []
    if len(lines) < 2 or "participant_id" not in head:
        raise InputError(
            f"{path} has no column participant_id, or no row. Wanted: tab-separated, a header with "
            "participant_id, a row per subject."
        )
    twice = [name for name, count in Counter(head).items() if count > 1]
    if twice:
        raise InputError(f"{path} has {len(head)} columns, {twice[0]!r} more than once. Name each "
                         "once.")
    ragged = next((n for n, line in enumerate(lines) if len(line) != len(head)), None)
    if ragged is not None:
        raise InputError(f"{path}: row {ragged} has {len(lines[ragged])} values, the header "
                         f"{len(head)}. Write n/a for what is unknown.")
    rows = [dict(zip(head, line, strict=True)) for line in lines[1:]]
    (name, count), = Counter(row["participant_id"] for row in rows).most_common(1)
    if count > 1:
        raise InputError(f"{path} has {name} {count} times. A subject may count once.")
    return {row["participant_id"]: row for row in rows}
