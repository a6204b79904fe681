"""Where the networks look: grids hold the nuclei, and a head's pose is found from its centres."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from operators.region_segmenter import frames
from operators.region_segmenter.atlas import load_atlas
from operators.region_segmenter.classes import HeadClass


def wanted() -> dict[int, np.ndarray]:
    return {kind: np.array(point) for kind, point in frames.ATLAS_CENTRES_LPS_MM.items()}


def test_the_centres_are_those_of_the_atlas() -> None:
    atlas = load_atlas()
    labels = np.asarray(atlas.array, np.uint8)
    found = frames.centres(labels, np.asarray(atlas.affine))
    for kind, point in wanted().items():
        number = 23 if kind == HeadClass.CALLOSUM else int(kind)
        assert np.allclose(found[number], point, atol=0.06)


@pytest.mark.parametrize("right", [False, True])
def test_the_fine_grid_holds_the_nuclei_of_its_side_with_10_mm_to_spare(right: bool) -> None:
    atlas = load_atlas()
    own = np.isin(atlas.array, [2 * kind - 1 + right for kind in range(1, 5)])
    points = np.argwhere(own) @ atlas.affine[:3, :3].T + atlas.affine[:3, 3]
    to_grid = np.linalg.inv(frames.nuclei_affine(right=right))
    index = points @ to_grid[:3, :3].T + to_grid[:3, 3]
    spare_mm = np.minimum(index.min(0), np.array(frames.NUCLEI_SHAPE) - 1 - index.max(0)) * (
        frames.NUCLEI_MM)
    assert (spare_mm > 9.5).all()


def test_the_pose_of_a_turned_and_shifted_head_is_found() -> None:
    turn = Rotation.from_euler("xyz", (20, -12, 30), degrees=True).as_matrix()
    head = {kind: turn.T @ (point - (5, -8, 12)) for kind, point in wanted().items()}
    matrix, rest = frames.pose(head)
    assert np.allclose(matrix[:3, :3], turn)
    assert np.allclose(matrix[:3, 3], (5, -8, 12))
    assert rest < 1e-6


def test_a_mirrored_head_is_never_turned_into_place() -> None:
    mirrored = {kind: point * (-1, 1, 1) for kind, point in wanted().items()}
    matrix, rest = frames.pose(mirrored)
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1)
    assert rest > 10


def test_five_structures_are_too_few() -> None:
    with pytest.raises(ValueError, match="5 structures"):
        frames.pose(dict(list(wanted().items())[:5]))


def test_centres_are_in_patient_millimetres() -> None:
    labels = np.zeros((4, 5, 6), np.uint8)
    labels[1:3, 2, 4] = 7
    affine = frames.grid_affine(2.0, (4, 5, 6), (10, 20, 30))
    assert np.allclose(frames.centres(labels, affine)[7], (13, 20, 30))
