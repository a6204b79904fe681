"""The 3D network of the comparison is of the same size, and the page tells mean and spread."""

import numpy as np

from benchmarks.lesion_dimensions import PATCH, page, patches, three_d
from operators.lesion_segmenter.cases import Case
from operators.lesion_segmenter.network import LesionNet


def test_both_networks_are_of_a_size():
    ours, other = (sum(weight.numel() for weight in network.parameters())
                   for network in (LesionNet(), three_d()))
    assert 0.6 < other / ours < 1.6


def test_patches_hold_the_lesions_that_a_case_has():
    classes = np.zeros((20, 80, 80), np.uint8)
    classes[10, 40:43, 40:43] = 1
    case = Case("a", "a", np.ones((4, 20, 80, 80), np.float16), np.ones(4, bool), classes,
                classes.astype(np.uint16), np.ones(classes.shape, bool), (2.0, 1.0, 1.0))
    image, label = next(patches([case], 1))
    assert image.shape == (2, 3, *PATCH)
    assert label.shape == (2, 1, *PATCH)


def test_the_page_tells_mean_and_spread_over_seeds():
    def one(value):
        return {"steps": 10, "training_s": 5, "inference_s": 1, "parameters": 2e6,
                "f1": {"microbleed": value, "iron_deposit": 0.5, "calcification": 0.5}}
    text = page({1: {"2.5D": one(0.7), "3D": one(0.4)}, 2: {"2.5D": one(0.9), "3D": one(0.4)}},
                "command", (3, 2))
    assert "| **2.5D**, mean ± standard deviation | | | | | | 0.800 ± 0.141" in text
    assert "0.400 ± 0.000" in text
