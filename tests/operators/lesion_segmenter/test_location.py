import numpy as np

from operators.labels import Side, structure
from operators.lesion_segmenter.location import locate

SPACING = (2.0, 1.0, 1.0)
PUTAMEN, VENTRICLES = structure("putamen", Side.LEFT), structure("ventricles", Side.MIDLINE)


def regions():
    labels = np.zeros((10, 20, 20), np.uint8)
    labels[:, :, :8] = PUTAMEN.number
    labels[:, :, 14:] = VENTRICLES.number
    return labels


def test_a_lesion_takes_the_structure_that_its_centre_lies_in():
    assert locate((4, 10, 7.4), regions(), SPACING, reach_mm=3) is PUTAMEN


def test_the_nearest_structure_counts_up_to_three_millimetres_and_no_further():
    assert locate((4, 10, 10), regions(), SPACING, reach_mm=3) is PUTAMEN
    assert locate((4, 10, 11), regions(), SPACING, reach_mm=3) is None


def test_distance_is_in_millimetres_not_voxels():
    labels = np.zeros((10, 20, 20), np.uint8)
    labels[7] = PUTAMEN.number
    assert locate((6, 10, 10), labels, SPACING, reach_mm=3) is PUTAMEN
    assert locate((5, 10, 10), labels, SPACING, reach_mm=3) is None


def test_a_ventricle_is_the_place_only_where_no_mars_location_is_in_reach():
    labels = regions()
    assert locate((4, 10, 17), labels, SPACING, reach_mm=3) is VENTRICLES
    labels[:, :, 16:18] = PUTAMEN.number
    assert locate((4, 10, 19), labels, SPACING, reach_mm=3) is PUTAMEN


def test_a_centre_beyond_the_grid_is_read_at_its_edge():
    assert locate((9.7, 19.8, 3.0), regions(), SPACING, reach_mm=3) is PUTAMEN
