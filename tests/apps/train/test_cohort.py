from pathlib import Path

import numpy as np
import pytest

from apps.phantom.population import SEEN, UNSEEN, draw_protocol
from apps.train.cohort import draw_burden, part_heads, plan
from operators.errors import InputError

HEADS = [Path(f"head_{n:02d}.nii.gz") for n in range(20)]
COUNTS = {"train": 24, "validation": 6, "test": 8}


def test_no_head_and_no_seed_is_in_two_splits():
    plans = plan(HEADS, COUNTS, 7)
    heads = {split: {one.head for one in plans if one.split == split} for split in COUNTS}
    assert {split: sum(one.split == split for one in plans) for split in COUNTS} == COUNTS
    assert not heads["train"] & heads["test"]
    assert not heads["train"] & heads["validation"]
    assert not heads["validation"] & heads["test"]
    assert len({one.seed for one in plans}) == len(plans)


def test_the_plan_does_not_depend_on_the_order_of_the_files():
    assert plan(HEADS[::-1], COUNTS, 7) == plan(HEADS, COUNTS, 7)


def test_too_few_heads_to_part_are_refused():
    with pytest.raises(InputError, match="Found 4 label maps"):
        plan(HEADS[:4], COUNTS, 7)


def test_scanner_settings_vary_as_sites_do():
    drawn = [draw_protocol(np.random.default_rng(n)) for n in range(90)]
    assert {one.field_strength_t for one in drawn} == {1.5, 3.0, 7.0}
    assert any(len(one.echo_times_ms) == 1 for one in drawn)
    assert {one.voxel_mm[0] for one in drawn} >= {1.0, 2.0, 3.0, 4.0}
    assert 0.3 < np.mean([one.phase_resolution < 1 for one in drawn]) < 0.7
    assert 0.05 < np.mean([one.motion_mm > 0 for one in drawn]) < 0.4
    for one in drawn:
        weighting = one.echo_times_ms[-1] * one.field_strength_t
        assert 50 <= weighting <= 125
        assert one.repetition_time_ms > one.echo_times_ms[-1]


def test_test_subjects_have_scanners_that_training_never_saw():
    for field in SEEN.field_shares:
        assert not set(SEEN.echo_times_ms[field]) & set(UNSEEN.echo_times_ms[field])
    for one in ("thickness_mm", "in_plane_mm", "flip_angle_deg", "swi_keep"):
        assert not set(getattr(SEEN, one)) & set(getattr(UNSEEN, one))
    for sites in (SEEN, UNSEEN):
        assert sum(sites.field_shares.values()) == pytest.approx(1)
        assert sum(sites.thickness_mm.values()) == pytest.approx(1)


def test_heads_are_parted_the_same_whatever_is_simulated():
    assert plan(HEADS, COUNTS, 7)[-1].head in part_heads(HEADS)["test"]


def test_only_training_subjects_are_loaded_with_lesions():
    generator = np.random.default_rng(0)
    assert draw_burden("train", generator).microbleeds >= 10
    assert draw_burden("test", generator).microbleeds is None
