"""A user's annotated scans: what is read, what is refused, and a model trained on them."""

from __future__ import annotations

import csv
import json
import logging

import nibabel
import numpy as np
import pytest

from apps.map.settings import DEFAULT_MODELS
from apps.train.annotated import read_annotated
from apps.train.own import _prepare, train_on
from operators.errors import ConfigurationError, InputError, OutputError
from operators.labels import LesionClass
from operators.lesion_segmenter.bundle import load_bundle
from operators.types import Role

SHAPE = (56, 60, 8)  # as NIfTI files have it: to the right, to the front, upwards
AFFINE = np.diag((1.0, 1.0, 2.0, 1.0))


@pytest.fixture(autouse=True)
def _heard(monkeypatch, caplog):
    """The SDK's own set-up of logging, in a test before, silences what is there."""
    monkeypatch.setattr(logging.getLogger("apps.train"), "disabled", False)
    caplog.set_level("WARNING", logger="apps.train")


@pytest.fixture
def tree(tmp_path):
    """Three subjects with a bleed and a calcification each; QSM is half as fine as SWI."""
    folder = tmp_path / "scans"
    for number in range(3):
        _subject(folder, f"sub-{number}", np.random.default_rng(number))
    return folder


def _subject(folder, name, generator):
    truth = np.zeros(SHAPE, np.uint16)
    truth[20:23, 30:33, 4], truth[40:43, 30:33, 3] = 3, 7
    swi = generator.normal(100, 2, SHAPE)
    swi[truth > 0] = 20
    qsm = np.where(truth == 3, 0.4, np.where(truth == 7, -0.4, 0.0))
    brain = np.zeros(SHAPE)
    brain[5:-5, 5:-5, 1:-1] = 1
    _save(folder / name / "anat" / f"{name}_swi.nii.gz", swi)
    coarse = AFFINE @ np.diag((2.0, 2.0, 1.0, 1.0))
    coarse[:2, 3] = 0.5
    pairs = qsm.reshape(28, 2, 30, 2, 8).mean(axis=(1, 3))
    _save(folder / name / "anat" / f"{name}_Chimap.nii.gz", pairs, coarse)
    derived = folder / "derivatives" / "readers" / name / "anat"
    _save(derived / f"{name}_space-orig_label-brain_mask.nii.gz", brain)
    _save(derived / f"{name}_space-orig_seg-lesions_dseg.nii.gz", truth)
    with (derived / f"{name}_space-orig_seg-lesions_dseg.tsv").open("w", newline="") as file:
        rows = [("index", "name", "abbreviation"), (3, "a", "CMB"), (7, "b", "CALC")]
        csv.writer(file, delimiter="\t").writerows(rows)


def _save(path, array, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array.astype(np.float32), affine), path)


def test_a_scan_is_read_with_its_lesions_on_the_grid_of_swi(tree):
    first, *_ = read_annotated(tree)
    assert (first.subject, first.anatomy) == ("sub-0", "sub-0")
    assert first.brain.shape == (8, 60, 56)
    assert first.kinds == {3: LesionClass.MICROBLEED, 7: LesionClass.CALCIFICATION}
    assert first.contrasts[Role.SWI][first.truth > 0].max() == 20
    assert first.contrasts[Role.QSM][first.truth == 3].mean() == pytest.approx(0.3, abs=0.1)
    assert first.contrasts[Role.QSM][first.truth == 7].mean() == pytest.approx(-0.3, abs=0.1)
    assert first.diameters_mm[3] == pytest.approx((6 * 18 / np.pi) ** (1 / 3))
    # NIfTI counts to the right and front, the case to the left and back.
    assert np.argwhere(first.truth == 3)[0].tolist() == [4, 60 - 33, 56 - 23]


def test_masks_per_class_stand_for_numbers(tree):
    for path in tree.rglob("sub-1*_dseg.*"):
        path.unlink()
    truth = np.zeros(SHAPE)
    truth[20:23, 30:33, 4], truth[30, 30, 4] = 1, 1
    derived = tree / "derivatives" / "readers" / "sub-1" / "anat"
    _save(derived / "sub-1_label-CMB_mask.nii.gz", truth)
    _save(derived / "sub-1_label-CALC_mask.nii.gz", np.zeros(SHAPE))
    scan = read_annotated(tree)[1]
    assert scan.kinds == {1: LesionClass.MICROBLEED, 2: LesionClass.MICROBLEED}


def test_a_class_without_a_mask_is_warned_of(tree, caplog):
    for path in tree.rglob("sub-1*_dseg.*"):
        path.unlink()
    derived = tree / "derivatives" / "readers" / "sub-1" / "anat"
    _save(derived / "sub-1_label-CMB_mask.nii.gz", np.zeros(SHAPE))
    read_annotated(tree)
    assert "sub-1 has no mask of NHID, CALC, VESSEL" in caplog.text


def test_the_last_echo_of_the_magnitude_stands_for_swi_and_no_phase(tree):
    folder = tree / "sub-1" / "anat"
    swi = nibabel.load(folder / "sub-1_swi.nii.gz").get_fdata()
    (folder / "sub-1_swi.nii.gz").unlink()
    echoes = (("echo-2_part-mag", 2), ("echo-10_part-mag", 10), ("echo-10_part-phase", 99))
    for name, value in echoes:
        _save(folder / f"sub-1_{name}_T2starw.nii.gz", swi * 0 + value)
    assert np.unique(read_annotated(tree)[1].contrasts[Role.SWI]).tolist() == [10]


def _cut(path):
    path.write_bytes(path.read_bytes()[:2000])


def _drop(tree, pattern):
    next(tree.rglob(pattern)).unlink()


def _rename_class(tree):
    path = next(tree.rglob("sub-1*_dseg.tsv"))
    path.write_text(path.read_text().replace("CALC", "CALCIUM"))


def _lose_row(tree):
    path = next(tree.rglob("sub-1*_dseg.tsv"))
    path.write_text("\n".join(path.read_text().splitlines()[:2]) + "\n")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda t: _drop(t, "sub-1_swi*"), "sub-1 has no _swi.nii.gz and no magnitude"),
        (lambda t: _drop(t, "sub-1*brain_mask*"), "sub-1 has no _label-brain_mask"),
        (lambda t: _drop(t, "sub-1*dseg.nii.gz"), "An empty mask says that there is no lesion"),
        (lambda t: _drop(t, "sub-1*dseg.tsv"), "beside .* cannot be used"),
        (_rename_class, "one of CMB, NHID, CALC, VESSEL"),
        (_lose_row, "holds lesion 7, which its .tsv does not name"),
        (lambda t: _save(t / "sub-1_acq-b_swi.nii.gz", np.zeros(SHAPE)), "2 files for one image"),
        (lambda t: _save(next(t.rglob("sub-1*brain_mask*")), np.zeros((4, 4, 4))), "another grid"),
        (lambda t: next(t.rglob("sub-1_swi*")).write_bytes(b"x"), "cannot be read as a 3D image"),
        (lambda t: _cut(next(t.rglob("sub-1_swi*"))), "sub-1_swi.nii.gz cannot be read"),
        (lambda t: _save(next(t.rglob("sub-1*brain_mask*")), np.zeros(SHAPE)), "mask.nii.gz is em"),
    ],
)
def test_what_a_scan_lacks_is_named(tree, fault, said):
    fault(tree)
    with pytest.raises(InputError, match=said):
        read_annotated(tree)


def test_a_folder_without_scans_is_refused(tmp_path):
    with pytest.raises(InputError, match="No file sub-"):
        read_annotated(tmp_path)


def test_training_on_scans_gives_a_bundle_that_says_what_it_learned_from(tree, tmp_path):
    default = DEFAULT_MODELS / "lesion_segmenter"
    out = tmp_path / "model"
    shown = train_on(tree, out, default=default, scratch=False, steps=2, seed=1)
    assert "annotated validation scans" in shown
    bundle = load_bundle(out / "lesion_segmenter")
    assert bundle.identity.training_data.startswith(
        "annotated scans of 3 subjects, from the weights of Lentiform lesion segmenter")
    assert bundle.identity.sha256 != load_bundle(default).identity.sha256
    metadata = json.loads((out / "lesion_segmenter/configs/metadata.json").read_text())
    assert metadata["recipe"]["subjects"] == {"train": 2, "validation": 1}
    card = (out / "lesion_segmenter/docs/README.md").read_text()
    assert "so new scans will show less" in card
    assert "measure (annotated validation scans)" in card
    assert "Trained on simulation" not in card
    path = next(tree.rglob("sub-2*_dseg.tsv"))
    path.write_text(path.read_text().replace("CALC", "NHID"))
    with pytest.raises(ConfigurationError, match="a run on other scans, on earlier masks"):
        train_on(tree, out, default=default, scratch=False, steps=2, seed=1)
    path.write_text(path.read_text().replace("NHID", "CALC"))
    with pytest.raises(ConfigurationError, match="or from other weights"):
        train_on(tree, out, default=default, scratch=True, steps=2, seed=1)


def test_simulated_subjects_of_one_head_stay_together(tree, tmp_path):
    (tree / "participants.tsv").write_text(
        "participant_id\tanatomy\nsub-0\tA\nsub-1\tA\nsub-2\tB\n")
    names = sorted({path.name.split("_")[0] for path in tree.rglob("sub-*.nii.gz")})
    assert names == ["sub-0", "sub-1", "sub-2"]
    splits = set()
    for seed in range(4):
        held, _, cases, _ = _prepare(tree, tmp_path / str(seed), seed)
        splits.add(tuple(sorted(path.name[:5] for head, path in cases if head in held)))
    assert splits == {("sub-0", "sub-1"), ("sub-2",)}


def test_what_validates_has_a_lesion_where_any_has_and_a_missing_class_is_warned_of(
    tree, tmp_path, caplog
):
    for name in ("sub-0", "sub-2"):
        path = next(tree.rglob(f"{name}*_dseg.nii.gz"))
        _save(path, np.zeros(SHAPE))
    for seed in range(4):
        held, *_ = _prepare(tree, tmp_path / str(seed), seed)
        assert held == {"sub-1"}
    assert "No non-haemorrhagic iron deposit in the scans kept for validation" in caplog.text
    assert "No cerebral microbleed" not in caplog.text


def test_a_model_of_simulated_scans_says_so(tree, tmp_path):
    (tree / "dataset_description.json").write_text('{"Simulated": true}')
    out = tmp_path / "model"
    shown = train_on(tree, out, default=DEFAULT_MODELS / "lesion_segmenter", scratch=True, steps=2,
                     seed=1)
    assert "simulated validation scans" in shown
    card = (out / "lesion_segmenter/docs/README.md").read_text()
    assert "Trained on simulation. Not validated on patients." in card
    assert "annotated" not in card
    metadata = json.loads((out / "lesion_segmenter/configs/metadata.json").read_text())
    assert metadata["training_data"].startswith("simulated scans of 3 subjects")
    assert all(name.startswith("simulated_") for name in metadata["eval_metrics"])


def test_the_model_it_starts_from_is_not_overwritten(tree):
    default = DEFAULT_MODELS / "lesion_segmenter"
    with pytest.raises(OutputError, match="holds the model that training starts from"):
        train_on(tree, DEFAULT_MODELS, default=default, scratch=False, steps=2, seed=1)


def test_one_subject_is_too_few(tree, tmp_path):
    for path in [*tree.rglob("sub-1*.*"), *tree.rglob("sub-2*.*")]:
        path.unlink()
    default = DEFAULT_MODELS / "lesion_segmenter"
    with pytest.raises(InputError, match="holds 1 subject"):
        train_on(tree, tmp_path / "m", default=default, scratch=True, steps=1, seed=1)
