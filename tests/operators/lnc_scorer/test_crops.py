"""Crops: where they lie, that left and right look alike, and what features are made of."""

import highdicom
import numpy as np
import pytest
import torch

from operators.labels import Side, structure
from operators.lnc_scorer.bundle import load_network
from operators.lnc_scorer.crops import SIDE_MM, crop, normalised
from operators.lnc_scorer.features import deep_features
from operators.lnc_scorer.network import LncNet

LEFT, RIGHT = structure("putamen", Side.LEFT), structure("putamen", Side.RIGHT)


def volume(array, spacing=(1.0, 1.0, 1.0), turn=None):
    affine = np.eye(4)
    axes = np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]])
    affine[:3, :3] = (axes if turn is None else turn @ axes) * spacing
    return highdicom.Volume(array, affine, "PATIENT", frame_of_reference_uid="1.2.3")


@pytest.fixture
def head():
    """A T1w that is a mirror image of itself, with a bright front and a putamen a side."""
    regions = np.zeros((40, 60, 80), np.uint8)
    regions[15:25, 20:40, 50:60] = LEFT.number
    regions[15:25, 20:40, 20:30] = RIGHT.number
    t1w = np.zeros(regions.shape, np.float32)
    t1w[regions > 0] = 1
    t1w[:, 20:25][regions[:, 20:25] > 0] = 3
    t1w[15:25, 20:40, 58:60] = t1w[15:25, 20:40, 20:22] = 5
    return t1w, regions


def test_left_and_right_of_a_mirrored_head_give_one_crop(head):
    t1w, regions = (volume(one) for one in head)
    left, right = crop(t1w, regions, LEFT), crop(t1w, regions, RIGHT)
    assert left.shape == (2, SIDE_MM, SIDE_MM, SIDE_MM)
    assert np.allclose(left, right, atol=1e-5)
    assert left[1].sum() == pytest.approx(10 * 20 * 10, rel=0.02)
    middle = np.argwhere(left[1] > 0.5).mean(axis=0)
    assert middle == pytest.approx([19.5] * 3, abs=0.6)


def test_front_is_first_and_outside_last_whatever_the_orientation_of_the_grid(head):
    t1w, regions = head
    upright = crop(volume(t1w), volume(regions), LEFT)
    turned = np.diag([-1.0, 1.0, -1.0, 1.0])
    turned[:3, 3] = 39, 0, 79
    flipped = highdicom.Volume(
        np.ascontiguousarray(t1w[::-1, :, ::-1]), volume(t1w).affine @ turned, "PATIENT",
        frame_of_reference_uid="1.2.3")
    again = crop(flipped, flipped.with_array(np.ascontiguousarray(regions[::-1, :, ::-1])), LEFT)
    assert np.allclose(upright, again, atol=1e-5)
    bright = upright[0, 20, :, 16] * (upright[1, 20, :, 16] > 0.5)
    assert np.flatnonzero(bright > 2).max() < 20
    assert upright[0, 20, 25, 23] == pytest.approx(5, abs=0.2)


def test_two_millimetre_voxels_give_millimetre_crops(head):
    t1w, regions = head
    coarse = crop(volume(t1w, (2.0, 2.0, 2.0)), volume(regions, (2.0, 2.0, 2.0)), LEFT)
    assert coarse[1].sum() == pytest.approx(20 * 40 * 20, rel=0.03)


def test_an_absent_region_has_no_crop(head):
    t1w, regions = head
    assert crop(volume(t1w), volume(np.where(regions == 3, 0, regions)), LEFT) is None


def test_brightness_and_gain_of_the_scanner_do_not_matter(head):
    t1w, regions = head
    where = volume(regions)
    once, again = (np.asarray(normalised(volume(one), where).array)
                   for one in (t1w, 1000 + 7 * t1w))
    assert np.allclose(once[regions > 0], again[regions > 0], atol=1e-4)
    assert np.abs(normalised(volume(np.full_like(t1w, np.nan)), where).array).max() == 0


def test_features_are_512_and_the_same_alone_and_among_others(head, tmp_path):
    torch.manual_seed(1)
    network = LncNet().eval()
    t1w, regions = (volume(one) for one in head)
    both = np.stack([crop(t1w, regions, LEFT), 2 * crop(t1w, regions, RIGHT)])
    features = deep_features(network, both)
    assert features.shape == (2, 512)
    assert np.allclose(features[1], deep_features(network, both[1:])[0], atol=1e-5)
    assert not np.allclose(features[0], features[1])
    with torch.inference_mode():
        assert network(torch.from_numpy(both)).shape == (2, 3, 2)
    (tmp_path / "models").mkdir()
    torch.save(network.state_dict(), tmp_path / "models" / "model.pt")
    loaded, digest = load_network(tmp_path)
    assert len(digest) == 64
    assert np.allclose(features, deep_features(loaded, both), atol=1e-6)


def test_regions_may_lie_on_another_grid(head):
    t1w, regions = head
    coarse = volume(np.ascontiguousarray(regions[::2, ::2, ::2]), spacing=(2.0, 2.0, 2.0))
    middle = np.array(coarse.affine)
    middle[:3, 3] += 0.5
    fine = volume(coarse.array.repeat(2, 0).repeat(2, 1).repeat(2, 2))
    coarse = highdicom.Volume(coarse.array, middle, "PATIENT", frame_of_reference_uid="1.2.3")
    one, two = normalised(volume(t1w), fine), normalised(volume(t1w), coarse)
    assert np.allclose(one.array, two.array, atol=1e-5)
    one, two = crop(one, fine, LEFT), crop(two, coarse, LEFT)
    assert np.allclose(one[0], two[0], atol=1e-4)
    assert (one[1] > 0.5).sum() == pytest.approx((two[1] > 0.5).sum(), rel=0.05)
