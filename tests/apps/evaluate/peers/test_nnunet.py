"""nnU-Net's raw data, its probabilities as lesions, and a clear word where it is missing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from apps.evaluate.peers.nnunet import NnUNet, _write, _write_description, lesion_map
from apps.train.subjects import Examined
from operators.errors import ConfigurationError
from operators.labels import LesionClass
from operators.types import Role

SHAPE = (4, 12, 16)


def subject():
    """A bleed, a vein and a brain that ends before the volume does; no T2w."""
    brain = np.zeros(SHAPE, bool)
    brain[:, 2:-2, 2:-2] = True
    truth = np.zeros(SHAPE, np.uint16)
    truth[1, 4:6, 4:6], truth[2, 8, 8] = 7, 9
    swi = np.full(SHAPE, 50, np.float32)
    swi[0, 0, 0] = np.nan
    return Examined(
        "head 1_a", "head 1", 3.0, {Role.SWI: swi, Role.QSM: np.full(SHAPE, 0.1, np.float32)},
        brain, np.zeros(SHAPE, np.uint8), truth,
        {7: LesionClass.MICROBLEED, 9: LesionClass.VESSEL}, {7: 2.0, 9: 1.0},
        np.diag([2.0, 0.8, 1.0, 1.0]), "1.2.3")


def test_raw_data_have_three_channels_labels_without_vessels_and_the_spacing(tmp_path):
    import SimpleITK as sitk

    name = _write(subject(), tmp_path, "Tr", with_labels=True)
    images = [sitk.ReadImage(str(tmp_path / "imagesTr" / f"{name}_{n:04d}.nii.gz"))
              for n in range(3)]
    assert images[0].GetSpacing() == pytest.approx((1.0, 0.8, 2.0))
    swi, qsm, t2w = (sitk.GetArrayFromImage(one) for one in images)
    assert swi.shape == SHAPE
    assert swi[0, 5, 5] == 50
    assert swi[0, 0, 0] == 0
    assert qsm[0, 5, 5] == pytest.approx(0.1)
    assert not t2w.any()
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "labelsTr" / f"{name}.nii.gz")))
    np.testing.assert_array_equal(labels == 1, subject().truth == 7)
    assert labels.max() == 1


def test_the_description_names_channels_and_labels(tmp_path):
    _write_description(tmp_path, 5)
    stored = json.loads((tmp_path / "dataset.json").read_text())
    assert stored["channel_names"] == {"0": "swi", "1": "qsm", "2": "t2w"}
    assert stored["labels"] == {"background": 0, "microbleed": 1, "iron_deposit": 2,
                                "calcification": 3}
    assert stored["numTraining"] == 5


def test_probabilities_become_lesions_of_the_likeliest_class_inside_the_brain():
    maps = np.zeros((4, *SHAPE), np.float32)
    maps[2, 1, 4:6, 4:6], maps[1, 1, 4:6, 4:6] = 0.7, 0.2
    maps[1, 2, 0:2, 0:2] = 0.9  # outside the brain
    maps[0] = 1 - maps[1:].sum(axis=0)
    (one,) = lesion_map(subject(), maps, {}).lesions
    assert one.kind is LesionClass.IRON_DEPOSIT
    assert one.probability == pytest.approx(0.7, abs=1e-3)
    assert one.volume_mm3 == pytest.approx(4 * 2 * 0.8)
    assert one.mean_ppm == pytest.approx(0.1)
    assert lesion_map(subject(), maps, {LesionClass.IRON_DEPOSIT: 0.8}).lesions == ()


def test_without_nnunet_the_error_says_how_to_get_it(tmp_path):
    for python in (Path(tmp_path, "none"), Path(sys.executable)):
        peer = NnUNet(tmp_path, python, minutes=1)
        with pytest.raises(ConfigurationError, match="pip install nnunetv2"):
            peer.train([subject()])
