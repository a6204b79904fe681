"""The comparison of two lists of lesions, and the emulation of bf16."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.lesion_inference import differences, emulated, noise_volume
from operators.labels import LesionClass
from operators.types import Lesion, LesionMap, ModelIdentity, Role


def lesion_map(*spots):
    """Lesions of (class, first column), two voxels each."""
    from highdicom import Volume

    labels = np.zeros((2, 4, 20), np.uint16)
    lesions = []
    for index, (kind, column) in enumerate(spots, start=1):
        labels[0, 1, column:column + 2] = index
        lesions.append(Lesion(
            index=index, kind=kind, location=None, volume_mm3=2.0, diameter_mm=2.0,
            centroid_lps_mm=(0.0, 0.0, 0.0), mean_ppm=None, peak_ppm=None, probability=0.5,
            vesselness=0.0, reason="", uid=f"1.2.{index}"))
    volume = Volume(labels, np.eye(4), coordinate_system="PATIENT")
    return LesionMap(volume, {}, tuple(lesions), (Role.SWI,), ModelIdentity("n", "0", "0", "none"))


BLEED, IRON = LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT


def test_the_same_lesions_shifted_by_a_voxel_are_no_difference():
    assert differences(lesion_map((BLEED, 2), (IRON, 9)), lesion_map((BLEED, 3), (IRON, 9))) == []


def test_a_lesion_more_one_less_and_another_class_are_listed():
    reference = lesion_map((BLEED, 2), (BLEED, 6), (BLEED, 12))
    found = differences(lesion_map((BLEED, 2), (IRON, 6), (BLEED, 16)), reference)
    assert [line.split(",")[0] for line in found] == [
        "only here: iron_deposit of 2 mm3", "only here: microbleed of 2 mm3",
        "only torch fp32: microbleed of 2 mm3", "only torch fp32: microbleed of 2 mm3",
    ]


def test_the_noise_volume_is_the_stated_one():
    subject = noise_volume()
    assert subject.brain.shape == (80, 256, 256)
    extent = [np.ptp(axis) + 1 for axis in np.nonzero(subject.brain)]
    assert extent == pytest.approx([75, 176, 140], abs=2)
    assert replace(subject, subject="again").contrasts[Role.SWI].dtype == np.float32


def test_emulated_bf16_differs_a_little_from_fp32():
    import torch

    from operators.lesion_segmenter.inference import make_runner
    from operators.lesion_segmenter.network import LesionNet

    torch.manual_seed(0)
    network = LesionNet(levels=(8,) * 7)
    batch = np.random.default_rng(0).normal(size=(1, 9, 64, 64)).astype(np.float32)
    exact = make_runner(network)(batch)
    rounded = emulated(network)(batch)
    assert 1e-5 < np.abs(exact - rounded).max() < 0.05
