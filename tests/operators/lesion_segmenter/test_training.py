import json

import numpy as np
import pytest
import torch

from operators.errors import ConfigurationError, InputError
from operators.labels import LesionClass
from operators.lesion_segmenter.cases import CASE_CHANNELS, Case, save_case
from operators.lesion_segmenter.losses import lesion_loss
from operators.lesion_segmenter.normalise import CHANNELS
from operators.lesion_segmenter.runs import running_mean
from operators.lesion_segmenter.sampling import PatchSampler
from operators.lesion_segmenter.training import TrainingSettings, split_cases, train
from operators.types import Role

SMALL = TrainingSettings(steps=4, patch=64, batch=2, validate_every=2)


def toy(subject, anatomy, *, seed=0, bleeds=3):
    """Dark paramagnetic spots are microbleeds, dark diamagnetic ones calcium."""
    generator = np.random.default_rng(seed)
    shape = (5, 70, 66)
    inputs = generator.normal(0, 0.1, (len(CASE_CHANNELS), *shape)).astype(np.float16)
    classes, instances = np.zeros(shape, np.uint8), np.zeros(shape, np.uint16)
    for number in range(1, bleeds + 2):
        kind = LesionClass.CALCIFICATION if number > bleeds else LesionClass.MICROBLEED
        spot = np.s_[2, 10 * number:10 * number + 3, 15 * number - 5:15 * number - 2]
        classes[spot], instances[spot] = kind, number
        inputs[(CHANNELS.index(Role.SWI), *spot)] = -0.8
        inputs[(CHANNELS.index(Role.QSM), *spot)] = 2 if kind == LesionClass.MICROBLEED else -2
    return Case(subject, anatomy, inputs, np.ones(len(CASE_CHANNELS), bool), classes, instances,
                np.ones(shape, bool), (2.0, 1.0, 1.0))


@pytest.fixture
def files(tmp_path):
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"{number}.case.npz")
        save_case(toy(f"s{number}", f"head{number}", seed=number), paths[-1])
    return paths


def weights(folder):
    return torch.load(folder / "model.pt", weights_only=True)


def test_an_interrupted_run_ends_with_the_weights_of_an_uninterrupted_one(files, tmp_path,
                                                                         monkeypatch):
    torch.set_num_threads(1)
    whole = train(files[:2], tmp_path / "a", SMALL, validation=files[2:])
    sample = PatchSampler.batch
    calls = []

    def broken_off(self, *arguments, **keywords):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return sample(self, *arguments, **keywords)

    monkeypatch.setattr(PatchSampler, "batch", broken_off)
    with pytest.raises(KeyboardInterrupt):
        train(files[:2], tmp_path / "b", SMALL, validation=files[2:])
    resumed = train(files[:2], tmp_path / "b", SMALL, validation=files[2:])
    assert len(calls) == 6
    assert (resumed.step, resumed.loss) == (whole.step, pytest.approx(whole.loss, rel=1e-5))
    for name, value in weights(tmp_path / "a").items():
        torch.testing.assert_close(weights(tmp_path / "b")[name], value, rtol=1e-4, atol=1e-6)


def test_another_seed_gives_other_weights_and_initial_weights_are_used(files, tmp_path):
    one = SMALL.model_copy(update={"steps": 1, "validate_every": 1})
    train(files[:2], tmp_path / "a", one, validation=files[2:])
    other = one.model_copy(update={"seed": 9})
    train(files[:2], tmp_path / "b", other, validation=files[2:])
    still = one.model_copy(update={"learning_rate": 1e-9, "weight_decay": 0.0})
    train(files[:2], tmp_path / "c", still, validation=files[2:], initial=tmp_path / "a/model.pt")
    first = {key: weights(tmp_path / key)["head.weight"] for key in "abc"}
    assert (first["a"] - first["b"]).abs().max() > 1e-3
    assert (first["a"] - first["c"]).abs().max() < 1e-6


def test_a_run_of_other_settings_is_not_continued(files, tmp_path):
    one = SMALL.model_copy(update={"steps": 1})
    train(files[:2], tmp_path / "a", one, validation=files[2:])
    with pytest.raises(ConfigurationError, match="other settings"):
        train(files[:2], tmp_path / "a", SMALL, validation=files[2:])


def test_a_subject_in_training_and_validation_is_refused(files, tmp_path):
    with pytest.raises(InputError, match="both in training and in validation"):
        train(files, tmp_path / "a", SMALL, validation=files[2:])


def test_cases_without_a_lesion_are_refused(tmp_path):
    paths = [tmp_path / "x.case.npz", tmp_path / "y.case.npz"]
    for path in paths:
        case = toy(path.name, path.name, bleeds=0)
        case.classes[...] = 0
        save_case(case, path)
    with pytest.raises(InputError, match="No training case has a lesion"):
        train(paths, tmp_path / "a", SMALL)


def test_a_head_is_never_on_both_sides_of_the_split():
    cases = [toy(f"s{n}", f"head{n % 4}") for n in range(12)]
    learn, held = split_cases(cases, 0.25, seed=3)
    assert {one.anatomy for one in learn}.isdisjoint(one.anatomy for one in held)
    assert (len(learn), len(held)) == (9, 3)


def test_one_head_alone_is_split_by_subject():
    cases = [toy(f"s{n}", "head") for n in range(5)]
    learn, held = split_cases(cases, 0.2, seed=1)
    assert (len(learn), len(held)) == (4, 1)


def test_patches_hold_lesions_of_every_class_and_leave_contrasts_out_as_told():
    sampler = PatchSampler([toy("s", "head")])
    generator = np.random.default_rng(0)
    images, labels, _ = sampler.batch(
        40, 64, generator, drop_qsm=1.0, drop_t2w=0.0, use_magnitude=0)
    assert images.shape == (40, 9, 64, 64)
    qsm, t2w = CHANNELS.index(Role.QSM), CHANNELS.index(Role.T2W)
    assert not images[:, 3 * qsm:3 * qsm + 3].any()
    assert images[:, 3 * t2w:3 * t2w + 3].any(axis=(1, 2, 3)).all()
    with_bleed = (labels == LesionClass.MICROBLEED).any(axis=(1, 2)).mean()
    with_calcium = (labels == LesionClass.CALCIFICATION).any(axis=(1, 2)).mean()
    assert with_bleed > 0.4
    assert with_calcium > 0.1


def test_a_patch_larger_than_the_head_holds_all_of_it():
    case = toy("s", "head")
    images, labels, _ = PatchSampler([case]).batch(
        12, 128, np.random.default_rng(2), drop_qsm=0, drop_t2w=0, use_magnitude=0
    )
    assert ((images[:, 1] != 0).sum(axis=(1, 2)) > 0.99 * case.brain[0].sum()).all()
    assert set(np.unique((labels > 0).sum(axis=(1, 2)))) == {0, (case.classes > 0).sum()}


def test_labels_stay_on_their_lesions_through_every_variation():
    sampler = PatchSampler([toy("s", "head")])
    images, labels, emphasis = sampler.batch(
        60, 64, np.random.default_rng(1), drop_qsm=0, drop_t2w=0, use_magnitude=0)
    swi = images[:, 3 * CHANNELS.index(Role.SWI) + 1]
    qsm = images[:, 3 * CHANNELS.index(Role.QSM) + 1]
    assert swi[labels == LesionClass.MICROBLEED].max() < -0.3
    assert qsm[labels == LesionClass.MICROBLEED].min() > 0.8
    assert qsm[labels == LesionClass.CALCIFICATION].max() < -0.8
    assert (emphasis[labels > 0] > 1).all()
    assert (emphasis[labels == 0] == 1).all()


def test_a_small_lesion_counts_as_much_as_a_large_one():
    case = toy("s", "head", bleeds=1)
    case.classes[4, 2:60, 2:60] = LesionClass.MICROBLEED
    case.instances[4, 2:60, 2:60] = 9
    sampler = PatchSampler([case])
    _, labels, emphasis = sampler.batch(
        60, 64, np.random.default_rng(1), drop_qsm=0, drop_t2w=0, use_magnitude=0)
    lesion = emphasis[labels == LesionClass.MICROBLEED]
    np.testing.assert_allclose(np.unique(lesion), [1.0, 30 / 9], rtol=1e-3)


def test_the_loss_falls_with_the_truth_and_counts_a_missed_lesion():
    target = torch.zeros(1, 16, 16, dtype=torch.long)
    target[0, 4:7, 4:7] = int(LesionClass.MICROBLEED)
    truth = torch.nn.functional.one_hot(target, 5).permute(0, 3, 1, 2).float()
    right, empty = 8 * truth, torch.zeros_like(truth)
    empty[:, 0] = 8
    even = torch.ones(1, 16, 16)
    assert lesion_loss(right, target, even) < 0.2
    assert lesion_loss(empty, target, even) > 0.9
    louder = torch.where(target > 0, 6.0, 1.0)
    assert lesion_loss(empty, target, louder) > lesion_loss(empty, target, even)


def test_statistics_freeze_at_their_share_of_the_steps(files, tmp_path):
    """Frozen from the start, the running means stay at zero; else they follow the patches."""
    for share, moves in ((0.0, False), (1.0, True)):
        settings = SMALL.model_copy(update={"freeze_from": share})
        train(files[:2], tmp_path / str(share), settings, validation=files[2:])
        means = [value for name, value in weights(tmp_path / str(share)).items()
                 if name.endswith("running_mean")]
        assert any(value.abs().max() > 0 for value in means) == moves


def test_a_toy_task_is_being_learned(files, tmp_path):
    settings = TrainingSettings(steps=60, patch=64, batch=4, validate_every=20, average=0.8,
                                learning_rate=2e-3, drop_qsm=0, drop_t2w=0, use_magnitude=0)
    train(files[:2], tmp_path / "a", settings, validation=files[2:])
    log = [json.loads(line) for line in (tmp_path / "a/log.jsonl").read_text().splitlines()]
    assert any((tmp_path / "a").glob("events.out.tfevents.*"))
    assert [line["step"] for line in log] == [20, 40, 60]
    assert log[-1]["loss"] < 0.85 * log[0]["loss"]


def test_the_running_mean_forgets_how_a_short_run_began():
    """After 300 steps that moved from 0 to 1 at once, a decay of 0.995 alone would leave 0.22."""
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    mean = running_mean(network, 0.995)
    mean.update_parameters(network)
    torch.nn.init.ones_(network.weight)
    for _ in range(300):
        mean.update_parameters(network)
    assert 0.999 < float(mean.module.weight) <= 1


def test_the_running_mean_of_a_long_run_decays_as_told():
    network = torch.nn.Linear(1, 1, bias=False)
    mean = running_mean(network, 0.9)
    torch.nn.init.zeros_(network.weight)
    for _ in range(200):
        mean.update_parameters(network)
    torch.nn.init.ones_(network.weight)
    mean.update_parameters(network)
    assert float(mean.module.weight) == pytest.approx(0.1, abs=1e-6)
