"""What region networks learn from and how: images match their labels, runs resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.ndimage import binary_erosion

from apps.phantom.anatomy import Anatomy
from apps.phantom.tissue import Tissue
from apps.train import regions as recipe
from apps.train.appearance import Draws, Kind, draw_contrast
from apps.train.region_card import write_bundle
from apps.train.regions import Cycle, RegionTraining, train_regions, validate
from apps.train.synthesis import HEAD_SHAPE, LabelledHead, head_example, labelled, nuclei_example
from operators.region_segmenter import frames
from operators.region_segmenter.bundle import load_networks
from operators.region_segmenter.classes import HeadClass, NucleusClass

MIXED = Draws(shares={"t1w": 0.4, "t2w": 0.3, "any": 0.3}, noise=0.1, grain=1.0)
T1W, T2W = Draws(shares={"t1w": 1.0}), Draws(shares={"t2w": 1.0})


@pytest.fixture(scope="module")
def head(template_head: Anatomy) -> LabelledHead:
    return labelled(template_head)


def test_the_templates_head_lies_on_the_atlas(head: LabelledHead) -> None:
    """Its origin is the middle of its brain, hence the shift; it is not turned."""
    assert np.allclose(head.to_atlas[:3, :3], np.eye(3), atol=0.02)


def test_the_same_seed_gives_the_same_image(head: LabelledHead) -> None:
    for example in (head_example, nuclei_example):
        (one, labels), (again, same) = (
            example(head, np.random.default_rng(3), MIXED) for _ in range(2))
        assert torch.equal(one, again)
        assert torch.equal(labels, same)


@pytest.mark.parametrize("seed", range(3))
def test_a_head_keeps_its_sides_whatever_its_pose(head: LabelledHead, seed: int) -> None:
    image, labels = head_example(head, np.random.default_rng(seed), MIXED)
    assert image.shape == (1, *HEAD_SHAPE)
    columns = {kind: float((labels == kind).nonzero()[:, 2].float().mean())
               for kind in (HeadClass.LEFT_PUTAMEN, HeadClass.RIGHT_PUTAMEN,
                            HeadClass.LEFT_CORTEX, HeadClass.RIGHT_CORTEX)}
    assert columns[HeadClass.LEFT_PUTAMEN] > columns[HeadClass.RIGHT_PUTAMEN] + 5
    assert columns[HeadClass.LEFT_CORTEX] > columns[HeadClass.RIGHT_CORTEX] + 5


@pytest.mark.parametrize("right", [False, True])
def test_the_fine_image_is_of_one_side_mirrored_if_it_is_the_right_one(
    head: LabelledHead, right: bool
) -> None:
    _, labels = nuclei_example(head, np.random.default_rng(5), T1W, right=right)
    assert labels.shape == frames.NUCLEI_SHAPE
    columns = [float((labels == kind).nonzero()[:, 2].float().mean())
               for kind in (NucleusClass.THALAMUS, NucleusClass.CAUDATE, NucleusClass.PUTAMEN)]
    assert columns[0] < columns[2]
    assert columns[1] < columns[2]


def test_a_t1w_has_white_matter_brighter_than_nuclei_brighter_than_fluid(
    head: LabelledHead,
) -> None:
    for seed in range(5):
        image, labels = nuclei_example(head, np.random.default_rng([9, seed]), T1W)
        seen = image[0].numpy() > 0
        levels = [np.median(image[0].numpy()[binary_erosion(labels.numpy() == kind) & seen])
                  for kind in (NucleusClass.WHITE, NucleusClass.CAUDATE, NucleusClass.FLUID)]
        assert levels[0] > levels[1] > levels[2]


def test_a_t2w_has_cortex_brighter_than_white_matter_and_iron_no_brighter(
    head: LabelledHead,
) -> None:
    for seed in range(20):
        drawn = draw_contrast(head.tissue, torch.ones_like(head.brain), T2W,
                              np.random.default_rng(seed)).mean
        grey, white, pallidum, substantia_nigra = (
            float(drawn[head.tissue == tissue].mean()) for tissue in
            (Tissue.GREY, Tissue.WHITE, Tissue.PALLIDUM, Tissue.SUBSTANTIA_NIGRA))
        assert grey > 1.04 * white
        assert max(pallidum, substantia_nigra) < 1.06 * white


@pytest.mark.parametrize("shares", [{}, {"t1w": 0.2}, {"t1w": 0.9, "any": 0.9},
                                    {"t1w": 1.5, "t2w": -0.5}])
def test_shares_that_are_none_are_refused(shares: dict[Kind, float]) -> None:
    with pytest.raises(ValidationError, match="sum to 1"):
        Draws(shares=shares)


def test_each_cycle_begins_anew_with_its_own_contrasts() -> None:
    settings = RegionTraining(cycles=(Cycle(steps=3), Cycle(steps=2, shares={"t2w": 1.0})))
    assert settings.steps == 5
    assert [settings.at(step)[1] for step in range(5)] == [0, 1, 2, 0, 1]
    assert [len(settings.at(step)[0].shares) for step in range(5)] == [2, 2, 2, 1, 1]
    with pytest.raises(IndexError, match=r"Step 5 of 5\."):
        settings.at(5)


def test_kinds_of_contrast_are_drawn_by_their_shares(head: LabelledHead) -> None:
    mixed = Draws(shares={"t1w": 0.3, "t2w": 0.7})
    white = [float(draw_contrast(head.tissue, torch.ones_like(head.brain), mixed,
                                 np.random.default_rng(seed)).mean[head.tissue == Tissue.WHITE][0])
             for seed in range(200)]
    assert 0.2 < np.mean(np.array(white) > 0.9) < 0.4


def test_a_run_that_was_broken_off_goes_on_as_if_it_had_not_been(
    head: LabelledHead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off between two cycles, whose learning rates and contrasts differ."""
    settings = RegionTraining(cycles=(Cycle(steps=1), Cycle(steps=2, shares={"t2w": 1.0})),
                              validate_every=1)
    monkeypatch.setattr(frames, "NUCLEI_SHAPE", (32, 32, 32))
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    best = train_regions("nuclei", [head], [head], whole, settings)
    looked: list[int] = []

    def fails_at_the_second(*arguments: Any) -> dict[str, Any]:
        looked.append(1)
        if len(looked) == 2:
            raise KeyboardInterrupt
        return validate(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(recipe, "validate", fails_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            train_regions("nuclei", [head], [head], broken, settings)
    resumed = train_regions("nuclei", [head], [head], broken, settings)
    assert (resumed["step"], resumed["t1w"]) == (best["step"], pytest.approx(best["t1w"]))
    for one, two in zip(*(torch.load(folder / "nuclei.checkpoint.pt")["network"].values()
                          for folder in (whole, broken)), strict=True):
        assert torch.allclose(one, two, atol=1e-6)


def test_a_bundle_is_written_of_what_was_learned_and_loads(
    head: LabelledHead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = {which: RegionTraining(cycles=(Cycle(steps=1),)) for which in recipe.TRAINING}
    monkeypatch.setattr(frames, "NUCLEI_SHAPE", (32, 32, 32))
    monkeypatch.setattr("apps.train.synthesis.HEAD_SHAPE", (32, 32, 32))
    for which, settings in short.items():
        assert train_regions(which, [head], [head], tmp_path, settings)["step"] == 1
    write_bundle(tmp_path / "bundle", tmp_path, ["a", "b"], ["c"], short)
    networks = load_networks(tmp_path / "bundle")
    assert networks is not None
    assert "synthesised" in networks.identity.training_data
    card = (tmp_path / "bundle/docs/README.md").read_text()
    assert "2 to\nlearn from, c to choose the weights on" in card
    assert f"{json.loads((tmp_path / 'head.json').read_text())['t1w']:.3f}" in card
