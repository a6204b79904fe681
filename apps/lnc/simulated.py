"""Cohorts in which there is something to find, and cohorts in which there is not.

How diseased a subject's small vessels are is a number with mean 0 and spread 1. It lowers FA and
CBF of the nuclei and decides the labels. In a planted cohort the same number shows in the T1w; in a
null cohort another one does, drawn apart: T1w then says nothing of FA, CBF or labels beyond what
anatomy does.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apps.evaluate.progress import shown
from apps.evaluate.store import make_folder
from apps.lnc.scans import described
from apps.phantom.anatomy import Anatomy
from apps.phantom.bids import write_nifti
from apps.phantom.complexes import CBF_LOSS, FA_LOSS, Complex, simulate_complex
from operators.errors import OutputError
from operators.types import Role

SUBJECTS = 79
"""As many as Song et al. 2025 had."""
LABELS = ("lsa_roots", "group")
_ROOTS = ("over20", "10to20", "below10")
"""Classes of the number of LSA roots used in the field (Chen 2019), fewer the more diseased."""
_GROUPS = ("A", "B", "C")
_BLUR = {"lsa_roots": 0.35, "group": 0.7}
"""Spread of what else decides a label (our choice): neither is the disease alone."""
_SUFFIX = {Role.T1W: "T1w", Role.FA: "param-FA_dwimap", Role.CBF: "cbf"}


def write_cohort(
    out: Path, heads: Sequence[Anatomy], *, subjects: int = SUBJECTS, seed: int = 1,
    null: bool = False,
) -> None:
    """Simulate a cohort into `out` as BIDS (see `scans`); what is there already stays."""
    make_folder(out)
    about = {"Name": "Simulated cohort of the lenticulostriate complex", "BIDSVersion": "1.10.0",
             "Simulated": True, "Relation": "none" if null else "planted", "Seed": seed}
    path = out / "dataset_description.json"
    if path.exists() and described(path) != about:
        raise OutputError(f"{out} holds another cohort. Give an empty folder, or the seed and "
                          "relation it was begun with to go on.")
    path.write_text(json.dumps(about, indent=1) + "\n")

    def rows() -> Iterator[dict[str, str]]:
        for number in range(subjects):
            yield _subject(out, f"sub-{number + 1:03d}", heads[number % len(heads)],
                           seed * 100_000 + number, null)
    written = list(shown(rows(), subjects, "subject"))
    with (out / "participants.tsv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(written[0]), delimiter="\t", lineterminator="\n")
        table.writeheader()
        table.writerows(written)


def _subject(out: Path, name: str, head: Anatomy, seed: int, null: bool) -> dict[str, str]:
    generator = np.random.default_rng([seed, 1])
    disease, other = generator.standard_normal(2)
    labels = _labels(disease, generator)
    sex = "FM"[generator.integers(2)]
    folder = out / name / "anat"
    made = simulate_complex(seed, anatomy=head, measured=float(disease),
                            shown=float(other if null else disease))
    if not folder.exists():
        _write(made, folder, name)
    return {"participant_id": name, "age": f"{made.age_years:.0f}", "sex": sex,
            "anatomy": head.name, "seed": str(seed), **labels}


def redrawn(
    means: NDArray[np.float64], seeds: Sequence[int], seed: int
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.str_]]]:
    """Means (subject, quantity, region) and labels, had other diseases been drawn for FA and CBF.

    `seeds` of the subjects as in their table. T1w and all that anatomy does to the means stay: the
    disease scales the tissue, and so what is measured of it but for what its neighbours blur in.
    """
    generator = np.random.default_rng([seed, 2])
    out, labels = means.copy(), []
    for n, own in enumerate(seeds):
        before = np.random.default_rng([own, 1]).standard_normal(2)[0]
        after = generator.standard_normal()
        for q, loss in enumerate((FA_LOSS, CBF_LOSS)):
            out[n, q] *= (1 - loss * after) / (1 - loss * before)
        labels.append(_labels(after, generator))
    return out, {name: np.array([one[name] for one in labels]) for name in LABELS}


def _labels(disease: float, generator: np.random.Generator) -> dict[str, str]:
    return {label: _class(names, disease + _BLUR[label] * generator.standard_normal())
            for label, names in zip(LABELS, (_ROOTS, _GROUPS), strict=True)}


def _class(names: Sequence[str], value: float) -> str:
    """Thirds of a normal distribution."""
    return names[int(np.searchsorted((-0.43, 0.43), value))]


def _write(made: Complex, folder: Path, name: str) -> None:
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(parents=True, exist_ok=True)
    for role, suffix in _SUFFIX.items():
        write_nifti(made.images[role], np.dtype(np.float32), partial / f"{name}_{suffix}.nii.gz")
    write_nifti(made.regions, np.dtype(np.uint8), partial / f"{name}_seg-regions_dseg.nii.gz")
    partial.rename(folder)
