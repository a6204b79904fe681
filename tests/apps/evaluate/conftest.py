"""A subject so small that every voxel of it can be reasoned about."""

import highdicom
import nibabel
import numpy as np
import pytest

from apps.train.subjects import Examined
from operators.labels import LesionClass, Side, structure
from operators.types import Role

SHAPE = (8, 60, 56)


@pytest.fixture
def examined():
    """A bleed in the left putamen and a vessel, on slices of 2 mm."""
    generator = np.random.default_rng(0)
    truth = np.zeros(SHAPE, np.uint16)
    truth[4, 30:33, 20:23], truth[3, 30:33, 40:43] = 1, 2
    swi = generator.normal(100, 2, SHAPE).astype(np.float32)
    swi[truth > 0] = 20
    qsm = np.where(truth == 1, 0.4, 0).astype(np.float32)
    brain = np.zeros(SHAPE, bool)
    brain[1:-1, 5:-5, 5:-5] = True
    regions = np.zeros(SHAPE, np.uint8)
    regions[:, :, :28] = structure("putamen", Side.LEFT).number
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]]) * (2.0, 1.0, 1.0)
    return Examined(
        "sub-1", "head", 3.0, {Role.SWI: swi, Role.QSM: qsm, Role.T2W: swi}, brain, regions, truth,
        {1: LesionClass.MICROBLEED, 2: LesionClass.VESSEL}, {1: 2.5, 2: 3.0}, affine, "1.2.3",
    )


def _save(path, array, affine):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(highdicom.Volume(array, affine, "PATIENT").to_nibabel(), path)


@pytest.fixture
def tree(tmp_path, examined):
    """A BIDS tree of four such subjects of two heads, simulated; the third has no lesion."""
    folder = tmp_path / "scans"
    rows = ["participant_id\tanatomy\tseed\tfield_strength_t\tslice_thickness_mm"]
    for number in range(1, 5):
        name = f"sub-{number}"
        truth = examined.truth if number != 3 else np.zeros_like(examined.truth)
        images = {
            "swi": examined.contrasts[Role.SWI], "Chimap": examined.contrasts[Role.QSM],
            "T2w": examined.contrasts[Role.T2W], "label-brain_mask": examined.brain.astype("u1"),
            "seg-regions_dseg": examined.regions, "seg-lesions_dseg": truth,
        }
        for suffix, image in images.items():
            _save(folder / name / "anat" / f"{name}_{suffix}.nii.gz", image, examined.affine)
        (folder / name / "anat" / f"{name}_seg-lesions_dseg.tsv").write_text(
            "index\tabbreviation\n1\tCMB\n2\tVESSEL\n")
        rows.append(f"{name}\thead-{number % 2}\t{number}\t{3.0 if number < 4 else 'n/a'}\t2.0")
    (folder / "participants.tsv").write_text("\n".join(rows) + "\n")
    (folder / "dataset_description.json").write_text('{"Name": "x", "Simulated": true}')
    return folder
