from dataclasses import replace

import numpy as np
import pytest
import torch

from operators.errors import ConfigurationError, InputError
from operators.labels import LesionClass
from operators.lesion_segmenter import candidate_training, candidates, segment
from operators.lesion_segmenter.calibration import FEATURES, Logistic
from operators.lesion_segmenter.candidate_network import SEEN_MM, CandidateNet
from operators.lesion_segmenter.candidate_training import CandidateSettings, score, train_candidates
from operators.lesion_segmenter.candidates import Looked, Variation, look, vary
from operators.lesion_segmenter.cases import CASE_CHANNELS, Case, make_case, save_case
from operators.lesion_segmenter.components import components
from operators.lesion_segmenter.cubes import SIDE_MM, cubes
from operators.lesion_segmenter.inference import Runner
from operators.lesion_segmenter.network import LesionNet
from operators.lesion_segmenter.normalise import CHANNELS, network_input, resize
from operators.lesion_segmenter.second_stage import classify, middle
from operators.lesion_segmenter.settings import LesionSettings
from operators.types import RegionMap, Role

SMALL = CandidateSettings(steps=2, batch=4, validate_every=1)


def toy(number):
    """Dark paramagnetic spots are microbleeds, the diamagnetic fourth is calcium."""
    generator = np.random.default_rng(number)
    shape = (5, 70, 66)
    inputs = generator.normal(0, 0.1, (len(CASE_CHANNELS), *shape)).astype(np.float16)
    classes, instances = np.zeros(shape, np.uint8), np.zeros(shape, np.uint16)
    for lesion in range(1, 5):
        kind = LesionClass.CALCIFICATION if lesion == 4 else LesionClass.MICROBLEED
        spot = np.s_[2, 10 * lesion:10 * lesion + 3, 15 * lesion - 5:15 * lesion - 2]
        classes[spot], instances[spot] = kind, lesion
        inputs[(CHANNELS.index(Role.SWI), *spot)] = -0.8
    return Case(f"s{number}", f"head{number}", inputs, np.ones(len(CASE_CHANNELS), bool), classes,
                instances, np.ones(shape, bool), (2.0, 1.0, 1.0))


def ball(spacing, centre_mm, radius_mm, shape):
    points = np.indices(shape).transpose(1, 2, 3, 0) * spacing
    return np.linalg.norm(points - centre_mm, axis=-1) <= radius_mm


def candidate(mask, spacing):
    maps = np.zeros((5, *mask.shape), np.float32)
    maps[LesionClass.MICROBLEED] = mask
    (found,) = components(maps, np.ones(mask.shape, bool), spacing, voxel_probability=0.5,
                          min_volume_mm3=2.0)
    return found, maps


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 0.8, 0.9), (4.0, 1.0, 1.0)])
def test_a_cube_holds_the_candidate_in_its_middle_at_one_millimetre(spacing):
    shape = tuple(int(60 / step) for step in spacing)
    mask = ball(spacing, (30, 28, 32), 6.0, shape)
    found, maps = candidate(mask, spacing)
    cube = cubes(mask[None].astype(np.float32), maps, np.ones(shape, bool), spacing, [found])[0]
    assert cube.shape == (4, SIDE_MM, SIDE_MM, SIDE_MM)
    wanted = ball((1, 1, 1), (15.5,) * 3, 6.0, (SIDE_MM,) * 3)
    for channel in cube[:3]:
        inside = channel.astype(float) > 0.5
        assert 2 * (inside & wanted).sum() / (inside.sum() + wanted.sum()) > 0.85
    assert (cube[3] == 1).all()


def test_a_cube_beyond_the_edge_of_the_volume_is_zero_there():
    mask = ball((1, 1, 1), (2, 20, 20), 2.0, (40, 40, 40))
    found, maps = candidate(mask, (1, 1, 1))
    brain = cubes(np.zeros((0, *mask.shape), np.float32), maps, np.ones(mask.shape, bool),
                  (1, 1, 1), [found])[0, 2]
    assert (brain[:SIDE_MM // 2 - 3] == 0).all()
    assert (brain[SIDE_MM // 2:] == 1).all()


@pytest.mark.parametrize("pixel_mm", [0.5, 1.0, 1.6])
def test_training_and_inference_see_the_same_cube(pixel_mm):
    """A ball in the brain's last slice, on a grid that goes on beyond the brain."""
    spacing = (2.0, pixel_mm, pixel_mm)
    shape = (20, round(64 / pixel_mm), round(60 / pixel_mm))
    brain = np.zeros(shape, bool)
    brain[3:14, round(8 / pixel_mm):-round(6 / pixel_mm), round(5 / pixel_mm):] = True
    mask = ball(spacing, (26, 30, 33), 4.0, shape) & brain
    swi = np.random.default_rng(0).normal(100, 3, shape).astype(np.float32)
    swi[mask] = 20
    case = make_case("s", "h", {Role.SWI: swi}, brain, spacing, mask.astype(np.uint16),
                     {1: LesionClass.MICROBLEED})
    prepared = network_input({Role.SWI: swi}, brain, spacing)
    maps = np.zeros((5, *prepared.brain.shape), np.float32)
    maps[1] = resize(mask[prepared.box][None].astype(np.float32), prepared.brain.shape[1:])[0]

    def found(where, inside, voxel_mm):
        (part,) = components(where, inside, voxel_mm, voxel_probability=0.5, min_volume_mm3=2.0)
        return part

    contrasts = case.inputs[: len(CHANNELS)].astype(np.float32)
    learned = cubes(contrasts, maps, case.brain, case.spacing_mm,
                    [found(maps, case.brain, case.spacing_mm)])[0].astype(float)
    seen = cubes(prepared.array, maps, prepared.brain, prepared.spacing_mm,
                 [found(prepared.to_reference(maps), brain, spacing)], box=prepared.box)[0]
    assert learned[-2].sum() == pytest.approx(seen[-2].sum(dtype=float), rel=0.25) != 0
    # The outline is drawn in other voxels, and the centre with it: some tenths of a millimetre.
    assert np.abs(learned - seen).mean(axis=(1, 2, 3)).max() < 0.02
    assert np.corrcoef(learned[0].ravel(), seen[0].astype(float).ravel())[0, 1] > 0.9


def test_a_judgement_does_not_depend_on_which_side_is_left():
    torch.manual_seed(0)
    network = CandidateNet().eval()
    seen = np.random.default_rng(0).normal(size=(3, 6, SIDE_MM, SIDE_MM, SIDE_MM))
    seen = seen.astype(np.float16)
    found = classify(network, seen)
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert len(classify(network, seen[:0])) == 0
    # The mean over the cube and one mirror per axis: of the mirror, the cube's own is among them.
    views = [middle(seen, SEEN_MM), *(np.flip(middle(seen, SEEN_MM), axis) for axis in (2, 3, 4))]
    with torch.inference_mode():
        own = [network(torch.from_numpy(view.copy())).softmax(1).numpy() for view in views]
    assert found == pytest.approx(np.mean(own, axis=0), abs=1e-5)


def test_variation_keeps_the_candidate_in_view_and_leaves_out_contrasts():
    cube = np.zeros((2, len(CASE_CHANNELS) + 3, SIDE_MM, SIDE_MM, SIDE_MM), np.float16)
    cube[:, :len(CASE_CHANNELS)] = 0.5
    cube[:, CASE_CHANNELS.index(Role.MAGNITUDE)] = -0.5
    inside = ball((1, 1, 1), (15.5,) * 3, 4.0, (SIDE_MM,) * 3)
    cube[:, -2, inside] = 1
    settings = Variation(drop_qsm=1.0, drop_t2w=1.0, use_magnitude=1.0)
    out = vary(cube, settings, np.random.default_rng(0)).numpy()
    assert out.shape == (2, len(CHANNELS) + 3, SEEN_MM, SEEN_MM, SEEN_MM)
    assert not out[:, CHANNELS.index(Role.QSM)].any()
    assert not out[:, CHANNELS.index(Role.T2W)].any()
    assert (out[:, CHANNELS.index(Role.SWI)] < 0).mean() > 0.9
    assert (out[:, -2] > 0.5).sum(axis=(1, 2, 3)) == pytest.approx(inside.sum(), rel=0.5)


@pytest.fixture
def found_by_rule(monkeypatch):
    """The first stage finds every planted spot of `toy`, as a microbleed."""
    def run(batch):
        dark = batch[:, 1] < -0.5
        maps = np.zeros((len(batch), 5, *batch.shape[2:]), np.float32)
        maps[:, 0], maps[:, LesionClass.MICROBLEED] = ~dark, dark
        return maps

    monkeypatch.setattr(candidates, "make_runner", lambda _: Runner("rule", run))


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{number}.case.npz" for number in range(3)]
    for number, path in enumerate(paths):
        save_case(toy(number), path)
    torch.save(LesionNet().state_dict(), tmp_path / "model.pt")
    return paths


@pytest.mark.usefixtures("found_by_rule")
def test_a_candidate_is_what_lies_below_it(files, tmp_path):
    looked = look(files[0], tmp_path, tmp_path / "model.pt")
    assert sorted(looked.classes) == [1, 1, 1, 3]
    assert (looked.kinds == LesionClass.MICROBLEED).all()
    assert sorted(looked.instances) == [1, 2, 3, 4]
    assert list(looked.known) == [0, 3, 0, 1, 0]
    assert looked.cubes.shape[:2] == (4, len(CASE_CHANNELS) + 3)


@pytest.mark.usefixtures("found_by_rule")
def test_an_interrupted_run_goes_on_and_ends_with_the_same_weights(files, tmp_path, monkeypatch):
    torch.set_num_threads(1)

    def run(out):
        return train_candidates(files[:2], out, SMALL, first_stage=tmp_path / "model.pt",
                                validation=files[2:])

    whole = run(tmp_path / "a")
    calls, kept = [], candidate_training.vary

    def broken_off(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return kept(*arguments)

    monkeypatch.setattr(candidate_training, "vary", broken_off)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b")
    monkeypatch.setattr(candidate_training, "vary", kept)
    assert run(tmp_path / "b") == whole
    states = [torch.load(tmp_path / name / "candidates.checkpoint.pt", weights_only=True)["network"]
              for name in "ab"]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    with pytest.raises(ConfigurationError, match="a run with other settings"):
        train_candidates(files[:2], tmp_path / "a", SMALL.model_copy(update={"seed": 9}),
                         first_stage=tmp_path / "model.pt", validation=files[2:])


def test_nothing_to_learn_from_is_told(files, tmp_path, monkeypatch):
    def nothing(batch):
        maps = np.zeros((len(batch), 5, *batch.shape[2:]), np.float32)
        maps[:, 0] = 1
        return maps

    monkeypatch.setattr(candidates, "make_runner", lambda _: Runner("none", nothing))
    with pytest.raises(InputError, match="No candidate of the training cases is a lesion"):
        train_candidates(files[:2], tmp_path, SMALL, first_stage=tmp_path / "model.pt",
                         validation=files[2:])


def test_classes_that_the_data_lack_get_no_probability(tmp_path):
    run = candidate_training._Run(tmp_path, SMALL, np.array([0] * 30 + [1] * 3), None)
    weight = run.loss.weight.numpy()
    assert (weight[2:] == 0).all()
    assert weight[1] > weight[0] > 0


def test_a_lesion_counts_once_and_the_missed_count_too(monkeypatch):
    given = np.zeros((3, 5), np.float32)
    given[:, LesionClass.MICROBLEED] = (0.9, 0.8, 0.1)
    monkeypatch.setattr(candidate_training, "classify", lambda *_: given)
    none = np.zeros((3, len(CASE_CHANNELS) + 3, 1, 1, 1), np.float16)
    known = np.array([0, 2, 0, 0, 0])
    case = Looked(none, np.array([1, 1, 0]), np.array([1, 1, 0]), np.array([1, 1, 1]), known)
    # Best: the first alone, of two known ones; iron has none to find and scores 0.
    assert score(None, [case]) == pytest.approx((2 / 3) / 2)


def test_what_the_second_stage_says_reaches_the_probability(head, rule_bundle, monkeypatch):
    head.plant((12, 30, 20), 2.6, 0.4)
    weight = tuple(1.0 if name == "second_log_odds" else 0.0 for name in FEATURES)
    bundle = replace(segment.load_bundle(None),
                     calibration={LesionClass.MICROBLEED: Logistic(0.0, weight)})
    monkeypatch.setattr(segment, "load_bundle", lambda _: bundle)
    monkeypatch.setattr(type(bundle), "second_stage", lambda _: object())
    for said in (0.8, 0.9):
        row = [0.05, said, 0.1, 0.2, 0.3]
        monkeypatch.setattr(
            segment, "classify", lambda _, seen, row=row: np.array([row] * len(seen)))
        regions = head.regions()
        assert isinstance(regions, RegionMap)
        result = segment.segment_lesions(head.study(), regions, bundle=rule_bundle,
                                         settings=LesionSettings())
        assert [one.probability for one in result.lesions] == [pytest.approx(said, abs=1e-5)]


@pytest.mark.parametrize(("vessel", "odds", "kinds"), [
    (0.7, -2.0, [LesionClass.VESSEL]), (0.4, -2.0, []), (0.7, -4.0, [])])
def test_a_doubtful_bleed_that_the_second_stage_takes_for_a_vessel_is_told_as_one(
    head, rule_bundle, monkeypatch, vessel, odds, kinds
):
    head.plant((12, 30, 20), 2.6, 0.4)
    doubtful = Logistic(odds, (0.0,) * len(FEATURES))
    bundle = replace(segment.load_bundle(None), calibration={LesionClass.MICROBLEED: doubtful})
    monkeypatch.setattr(segment, "load_bundle", lambda _: bundle)
    monkeypatch.setattr(type(bundle), "second_stage", lambda _: object())
    row = [0.1, 0.1, 0.1, 0.1, vessel]
    monkeypatch.setattr(segment, "classify", lambda _, seen: np.array([row] * len(seen)))
    result = segment.segment_lesions(head.study(), head.regions(), bundle=rule_bundle,
                                     settings=LesionSettings())
    assert [one.kind for one in result.lesions] == kinds
    assert [one.probability for one in result.lesions] == [vessel] * len(kinds)
    assert all("second look" in one.reason for one in result.lesions)
