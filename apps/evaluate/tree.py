"""A BIDS tree of scans with a truth: which scans there are, and what its tables say of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from apps.train.annotated import annotated_scans, read_scan
from apps.train.subjects import Examined
from operators.errors import InputError


@dataclass(frozen=True, slots=True)
class Scan:
    """One annotated scan; `study` is the folder of its DICOM, if there is one.

    `anatomy` is the head that several simulated subjects may share; else the subject itself.
    """

    name: str
    files: tuple[Path, ...]
    anatomy: str
    field_strength_t: float | None
    slice_mm: float | None
    study: Path | None

    def read(self) -> Examined:
        """The arrays with their truth. InputError names what the scan lacks."""
        examined = read_scan(self.name, self.files)
        return replace(examined, anatomy=self.anatomy, field_strength_t=self.field_strength_t)

    def contents(self) -> tuple[Path, ...]:
        """All files that `read` reads: the images, and the tables that name their lesions."""
        tables = (path.with_name(path.name.split(".")[0] + ".tsv") for path in self.files)
        return (*self.files, *(table for table in tables if table.is_file()))


@dataclass(frozen=True, slots=True)
class Tree:
    """All scans of a tree; `simulated` is what its dataset_description.json says ("Simulated")."""

    scans: tuple[Scan, ...]
    simulated: bool

    @property
    def anatomies(self) -> int:
        """How many heads there are; subjects, where the tree names none."""
        return len({scan.anatomy for scan in self.scans})


def read_tree(folder: Path) -> Tree:
    """The scans below `folder`, in order. InputError where there is none or a table is broken."""
    rows = _participants(folder / "participants.tsv")
    scans = tuple(_scan(folder, name, files, rows.get(name.partition("_")[0], {}))
                  for name, files in annotated_scans(folder).items())
    return Tree(scans, _simulated(folder / "dataset_description.json"))


def _scan(folder: Path, name: str, files: Sequence[Path], row: Mapping[str, str]) -> Scan:
    subject, _, rest = name.partition("_")
    study = folder / "sourcedata" / subject / rest
    return Scan(name, tuple(files), row.get("anatomy") or subject,
                _number(row, "field_strength_t"), _number(row, "slice_thickness_mm"),
                study if study.is_dir() else None)


def _participants(path: Path) -> dict[str, dict[str, str]]:
    """Rows by participant_id, without what is "n/a"; empty where there is no table."""
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}). Save it as UTF-8 text.") from error
    if rows and "participant_id" not in rows[0]:
        raise InputError(f"{path} has no column participant_id. Add it, or remove the table.")
    return {row["participant_id"]: {name: value for name, value in row.items()
                                    if name and value and value != "n/a"} for row in rows}


def _number(row: Mapping[str, str], name: str) -> float | None:
    try:
        return float(row[name]) if name in row else None
    except ValueError as error:
        raise InputError(
            f"participants.tsv: {name} of {row['participant_id']} is {row[name]!r}; wanted a "
            "number or n/a."
        ) from error


def _simulated(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        return json.loads(path.read_text(encoding="utf-8")).get("Simulated") is True
    except (ValueError, AttributeError) as error:
        raise InputError(f"{path} is not a JSON object ({error}). Mend or remove it.") from error
