"""A small cohort on disk: six blocks for nuclei, FA and CBF that T1w tells of."""

import csv
import json
import shutil

import nibabel
import numpy as np
import pytest

from operators.labels import LNC_NAMES, Side, structure

SHAPE = (44, 44, 44)
AFFINE = np.diag([-2.0, -2.0, 2.0, 1.0])
AFFINE[:3, 3] = (44, 44, -44)
NUMBERS = [structure(name, side).number for name in LNC_NAMES[:3]
           for side in (Side.LEFT, Side.RIGHT)]


def blocks():
    """Region numbers (x, y, z), RAS; left is where x is negative in RAS."""
    regions = np.zeros(SHAPE, np.uint8)
    for n, number in enumerate(NUMBERS):
        x = 26 if n % 2 == 0 else 12
        y = 8 + 10 * (n // 2)
        regions[x:x + 6, y:y + 8, 18:26] = number
    regions[18:26, 8:36, 30:34] = structure(
        "deep and periventricular white matter", Side.LEFT).number
    return regions


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, AFFINE), path)


@pytest.fixture
def cohort(whole_cohort, tmp_path):
    """A copy of the cohort, to be broken."""
    return shutil.copytree(whole_cohort, tmp_path / "cohort")


@pytest.fixture(scope="session")
def whole_cohort(tmp_path_factory):
    """21 subjects: T1w texture, FA and the label follow one number, CBF does not."""
    folder, regions = tmp_path_factory.mktemp("lnc") / "cohort", blocks()
    rows = []
    for number in range(21):
        name, generator = f"sub-{number:02d}", np.random.default_rng(number)
        disease = number / 10 - 1
        t1w = 100 + 30 * (regions > 0) + generator.normal(0, 3, SHAPE)
        t1w += (regions > 0) * 15 * disease * np.linspace(-1, 1, 44)[:, None]
        where = folder / name / "anat" / name
        write(where.with_name(f"{name}_T1w.nii.gz"), t1w.astype(np.float32))
        write(where.with_name(f"{name}_param-FA_dwimap.nii.gz"),
              (0.3 - 0.05 * disease + generator.normal(0, 0.01, SHAPE)).astype(np.float32))
        write(where.with_name(f"{name}_cbf.nii.gz"),
              (50 + 5 * generator.normal() + np.zeros(SHAPE)).astype(np.float32))
        write(where.with_name(f"{name}_seg-regions_dseg.nii.gz"), regions)
        rows.append({"participant_id": name, "age": str(50 + number % 7), "sex": "FM"[number % 2],
                     "group": "n/a" if number == 0 else "ill" if disease > 0 else "well"})
    table(folder, rows)
    (folder / "dataset_description.json").write_text(json.dumps({"Simulated": True}))
    return folder


def table(folder, rows):
    with (folder / "participants.tsv").open("w", newline="") as file:
        out = csv.DictWriter(file, list(rows[0]), delimiter="\t")
        out.writeheader()
        out.writerows(rows)
