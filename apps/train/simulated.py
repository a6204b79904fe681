"""A cohort of simulated subjects on disk: what scanners send, and what an annotator would draw.

    COHORT/participants.tsv        a row per subject: head, seed, scanner settings
    COHORT/sub-0001/anat/          SWI, QSM, magnitude and T2w on one grid; brain, lesions, regions
    COHORT/sourcedata/sub-0001/    the DICOM study

The BIDS part is the format that `annotated` reads. QSM and SWI are the product's own.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from apps.evaluate.progress import shown
from apps.train.cohort import SITES, Plan, Split, make_subject, part_heads, read_anatomy
from apps.train.subjects import Examined
from operators.errors import ConfigurationError
from operators.labels import LESIONS
from operators.types import Role

if TYPE_CHECKING:
    from apps.phantom.types import Subject

_SUFFIX = {Role.SWI: "swi", Role.QSM: "Chimap", Role.T2W: "space-swi_T2w",
           Role.MAGNITUDE: "part-mag_T2starw"}
_OF_THE_LNC = (Role.FA, Role.DWI, Role.CBF, Role.ASL)
_COLUMNS = ("participant_id", "anatomy", "seed", "style", "field_strength_t", "slice_thickness_mm")


@dataclass(frozen=True, slots=True)
class Cohort:
    """What to simulate. `style` None: the vendors in turn; no `label_maps`: the template's head.

    `series` of the DICOM studies: "all", those for "lesions" (no diffusion, no perfusion), "none".
    """

    subjects: int
    seed: int
    split: Split = "test"
    label_maps: Path | None = None
    style: str | None = None
    series: Literal["all", "lesions", "none"] = "all"


def simulate_cohort(out: Path, cohort: Cohort, *, jobs: int = 1) -> None:
    """Simulate what is not there yet below `out`; a subject's folder appears whole or not at all.

    ConfigurationError where `out` holds a cohort of other settings.
    """
    rows = [_row(number, plan, style) for number, (plan, style) in enumerate(_plans(cohort), 1)]
    _describe(out, cohort, rows)
    waiting = [(number, plan, style) for number, (plan, style) in enumerate(_plans(cohort), 1)
               if not (out / _name(number)).exists()]
    for _ in shown(_each(out, waiting, cohort.series, jobs), len(waiting), "subject"):
        pass


def _plans(cohort: Cohort) -> Iterator[tuple[Plan, str]]:
    from apps.phantom.dicom import VendorStyle

    heads: Sequence[Path | None] = [None]
    if cohort.label_maps is not None:
        heads = part_heads(sorted(cohort.label_maps.rglob("*.nii*")))[cohort.split]
    styles = ([VendorStyle.of(cohort.style).value] if cohort.style
              else [each.value for each in VendorStyle])
    for number in range(cohort.subjects):
        plan = Plan(cohort.split, heads[number % len(heads)], cohort.seed + number)
        yield plan, styles[number % len(styles)]


def _row(number: int, plan: Plan, style: str) -> dict[str, object]:
    from apps.phantom.population import draw_protocol

    protocol = draw_protocol(np.random.default_rng([plan.seed, 1]), SITES[plan.split])
    values = (_name(number), plan.head_name, plan.seed, style, protocol.field_strength_t,
              protocol.voxel_mm[0])
    return dict(zip(_COLUMNS, values, strict=True))


def _name(number: int) -> str:
    return f"sub-{number:04d}"


def _describe(out: Path, cohort: Cohort, rows: Sequence[dict[str, object]]) -> None:
    """The tree's own two files; a larger cohort of the same settings goes on."""
    out.mkdir(parents=True, exist_ok=True)
    table = out / "participants.tsv"
    lines = ["\t".join(_COLUMNS), *("\t".join(map(str, row.values())) for row in rows)]
    if table.exists():
        there = table.read_text(encoding="utf-8").splitlines()
        if list(islice(there, len(lines))) != lines[:len(there)]:
            raise ConfigurationError(
                f"{out} holds a cohort of other settings. Take another folder, or its settings."
            )
        lines = max(there, lines, key=len)
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    description = {
        "Name": f"Lentiform simulated cohort ({cohort.split})", "BIDSVersion": "1.10.0",
        "DatasetType": "derivative", "Simulated": True,
        "GeneratedBy": [{"Name": "lentiform simulate", "Version": version("lentiform")}],
    }
    (out / "dataset_description.json").write_text(json.dumps(description, indent=2) + "\n",
                                                  encoding="utf-8")


def _each(
    out: Path, waiting: Sequence[tuple[int, Plan, str]], series: str, jobs: int
) -> Iterator[str]:
    """Names of subjects as they are done."""
    spawn = get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_one_thread) as pool:
        running = [pool.submit(_make, out, *one, series) for one in waiting]
        try:
            yield from (future.result() for future in as_completed(running))
        finally:
            pool.shutdown(cancel_futures=True)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _make(out: Path, number: int, plan: Plan, style: str, series: str) -> str:
    from apps.phantom.dicom import VendorStyle, write_study

    name = _name(number)
    subject, examined = make_subject(plan, read_anatomy(plan.head), moved=True)
    partial = out / f".{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    write_annotated(examined, subject, partial / "anat", name)
    if series == "lesions":
        kept = {role: image for role, image in subject.images.items() if role not in _OF_THE_LNC}
        subject = replace(subject, images=kept)
    if series != "none":
        study = out / "sourcedata" / name
        shutil.rmtree(study, ignore_errors=True)
        write_study(subject, study, style=VendorStyle(style), seed=plan.seed)
    partial.replace(out / name)
    return name


def write_annotated(examined: Examined, subject: Subject, folder: Path, name: str) -> None:
    """Write a subject as `annotated` reads it, NIfTI in RAS; columns of the table:

    index, abbreviation (class), planted (what the simulator put there), diameter_mm.
    """
    from highdicom import Volume

    folder.mkdir(parents=True, exist_ok=True)
    images = {suffix: examined.contrasts[role].astype(np.float32)
              for role, suffix in _SUFFIX.items() if role in examined.contrasts}
    images |= {"label-brain_mask": examined.brain.astype(np.uint8),
               "seg-regions_dseg": examined.regions.astype(np.uint8),
               "seg-lesions_dseg": examined.truth.astype(np.uint16)}
    for suffix, array in images.items():
        volume = Volume(array, examined.affine, "PATIENT")
        volume.to_nibabel().to_filename(folder / f"{name}_{suffix}.nii.gz")
    with (folder / f"{name}_seg-lesions_dseg.tsv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(("index", "abbreviation", "planted", "diameter_mm"))
        for lesion in subject.truth.planted:
            writer.writerow((
                lesion.index, LESIONS[examined.kinds[lesion.index]].abbreviation,
                lesion.kind.value, round(lesion.diameter_mm, 3)))
