"""From a cohort's folder to its page, and what a broken cohort is told."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from apps.lnc import measures as rooms
from apps.lnc.command import Request, evaluate_cohort
from apps.lnc.leak import BY_SLICE, BY_SUBJECT, evaluate_slices
from apps.lnc.measures import measure, measure_all
from apps.lnc.scans import read_cohort
from apps.lnc.simulated import redrawn, write_cohort
from apps.lnc.study import DEEP, LEAST, Design, Table, check, evaluate, groups_of, tabulate
from apps.map.settings import DEFAULT_CONFIG, load_settings
from operators.errors import ConfigurationError, InputError, OutputError
from operators.lnc_scorer.crops import REGIONS
from operators.lnc_scorer.network import LncNet
from operators.types import Role

SMALL = Design(folds=4, repeats=1, permutations=19)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    return LncNet().eval()


@pytest.fixture(scope="module")
def settings():
    return load_settings(DEFAULT_CONFIG)


@pytest.fixture(scope="module")
def weights(tmp_path_factory, network):
    """A folder of models with the network's weights, and where their measures are kept."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "lnc_scorer" / "models").mkdir(parents=True)
    torch.save({name: weight.half() if weight.is_floating_point() else weight
                for name, weight in network.state_dict().items()},
               folder / "lnc_scorer" / "models" / "model.pt")
    return folder


@pytest.fixture(scope="module")
def measured(whole_cohort, network, settings, tmp_path_factory):
    whole = read_cohort(whole_cohort)
    return whole, measure_all(whole, network, "a", tmp_path_factory.mktemp("work"), settings)


def edit(folder, change):
    path = folder / "participants.tsv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    rows = change(rows)
    with path.open("w", newline="") as file:
        out = csv.DictWriter(file, list(rows[0]), delimiter="\t")
        out.writeheader()
        out.writerows(rows)


def test_means_volumes_and_sides_are_those_of_the_images(cohort, network, settings):
    one = measure(read_cohort(cohort).members[3], network, settings)
    assert one.volumes_mm3 == pytest.approx(np.full((3, 2), 6 * 8 * 8 * 8.0))
    assert one.means[0] == pytest.approx(np.full((3, 2), 0.3 - 0.05 * (3 / 10 - 1)), abs=0.002)
    assert one.deep.shape == (len(REGIONS), 2, 512)
    assert one.slices.shape == (20, 3 * 100)


def test_measures_are_kept_and_made_anew_for_other_weights(cohort, network, settings, tmp_path):
    few = replace(read_cohort(cohort), members=read_cohort(cohort).members[:2])
    for weights in ("a", "a", "b"):
        measure_all(few, network, weights, tmp_path / "work", settings)
        kept = sorted((tmp_path / "work" / "measures").iterdir())
        assert len(kept) == 2
    first = {path.name for path in kept}
    measure_all(few, network, "a", tmp_path / "work", settings)
    assert {path.name for path in (tmp_path / "work" / "measures").iterdir()} != first


def test_a_planted_quantity_and_label_are_found_and_the_other_is_not(measured):
    quantities, (label,) = evaluate(tabulate(*measured, ["group"]), SMALL)
    by_name = {(one.role, one.region): one for one in quantities}
    assert len(by_name) == 6
    for region in REGIONS:
        assert by_name[Role.FA, region].sets[DEEP].r2.value > 0.5
        assert by_name[Role.FA, region].p == 0.05
        assert by_name[Role.CBF, region].p > 0.05
    assert (label.subjects, label.sets[DEEP].names) == (20, ("ill", "well"))
    assert label.sets[DEEP].balanced_accuracy.value > 0.75


def test_the_page_tells_p_and_that_parting_slices_leaks(
    whole_cohort, weights, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        rooms, "deep_features", lambda _, crops: crops.reshape(len(crops), -1)[:, ::250])
    request = Request(whole_cohort, tmp_path / "out", ["group"], weights, DEFAULT_CONFIG,
                      "lentiform lnc evaluate")
    honest = evaluate_cohort(request, SMALL).read_text()
    assert "p = 0.050" in honest
    assert "Simulated subjects" in honest
    assert "inflated" not in honest
    leak = evaluate_cohort(request, replace(SMALL, by_slice=True)).read_text()
    assert "inflated" in leak
    assert "p = " not in leak
    data = json.loads((tmp_path / "out" / "lnc.json").read_text())
    assert data["design"]["by_slice"] is False
    assert json.loads((tmp_path / "out" / "lnc-slices.json").read_text())["design"]["by_slice"]
    assert (tmp_path / "out" / "lnc.png").stat().st_size > 10_000
    with pytest.raises(ConfigurationError, match=r"model\.pt cannot be used"):
        evaluate_cohort(replace(request, models=tmp_path), SMALL)


def test_slices_of_one_subject_on_both_sides_make_something_of_nothing():
    generator = np.random.default_rng(3)
    subjects = generator.normal(size=(40, 1, 30)) + generator.normal(size=(40, 20, 30)) / 5
    labels = np.array(["a", "b"])[generator.integers(2, size=40)]
    table = Table(("putamen",), {}, subjects, np.arange(40), generator.normal(size=(40, 2, 1)),
                  {"group": labels})
    (fa, _), (label,) = evaluate_slices(table, SMALL)
    assert fa.sets[BY_SLICE].r2.value > 0.95
    assert fa.sets[BY_SUBJECT].r2.value < 0.1
    assert label.sets[BY_SLICE].accuracy.value > 0.95
    assert label.sets[BY_SUBJECT].accuracy.low < 0.5 < label.sets[BY_SUBJECT].accuracy.high


@pytest.mark.parametrize(("change", "said"), [
    (lambda rows: rows[1:], "sub-00 has images but no row"),
    (lambda rows: [*rows, rows[-1] | {"participant_id": "sub-99"}], "sub-99 has a row"),
    (lambda rows: [*rows, rows[-1]], "sub-20 2 times"),
    (lambda rows: [{"id": row["participant_id"]} for row in rows], "no column participant_id"),
])
def test_a_table_that_does_not_fit_the_images_is_refused(cohort, change, said):
    edit(cohort, change)
    with pytest.raises(InputError, match=said):
        read_cohort(cohort)


def test_missing_and_doubled_images_are_named(cohort):
    first = cohort / "sub-00" / "anat"
    (first / "sub-00_FA.nii.gz").write_bytes(b"")
    with pytest.raises(InputError, match="sub-00 has 2 files for fa"):
        read_cohort(cohort)
    (first / "sub-00_FA.nii.gz").unlink()
    (first / "sub-00_T1w.nii.gz").unlink()
    with pytest.raises(InputError, match=r"sub-00 has no _T1w"):
        read_cohort(cohort)


def test_unusable_columns_are_named(cohort):
    edit(cohort, lambda rows: [row | {"age": "old"} for row in rows])
    whole = read_cohort(cohort)
    with pytest.raises(InputError, match="age of sub-00 is 'old'"):
        whole.numbers("age")
    with pytest.raises(InputError, match="no column stage"):
        whole.column("stage")
    assert np.isnan(whole.numbers("weight")).all()


def test_too_few_subjects_or_classes_are_refused(measured):
    whole, measures = measured
    few = replace(whole, members=whole.members[: LEAST - 1])
    with pytest.raises(InputError, match=f"known of {LEAST - 1} subjects"):
        evaluate(tabulate(few, measures[: LEAST - 1], []), SMALL)
    with pytest.raises(InputError, match="Label participant_id has 21 classes"):
        evaluate(tabulate(whole, measures, ["participant_id"]), SMALL)


@pytest.mark.parametrize(("change", "said"), [
    (lambda rows: [row | {"age": "inf"} for row in rows], "age of sub-00 is 'inf'"),
    (lambda rows: [row | {"group": "one"} for row in rows], "Label group has 1 classes"),
    (lambda rows: [row | {"group": "n/a"} for row in rows], "known of 0 subjects"),
])
def test_a_table_is_refused_before_anything_is_measured(cohort, weights, tmp_path, change, said):
    edit(cohort, change)
    request = Request(cohort, tmp_path / "out", ["group"], weights, DEFAULT_CONFIG, "")
    with pytest.raises(InputError, match=said):
        evaluate_cohort(request, SMALL)
    assert not (tmp_path / "out").exists()


def test_a_file_is_no_folder_for_results(cohort, weights, tmp_path):
    (tmp_path / "file").touch()
    request = Request(cohort, tmp_path / "file", ["group"], weights, DEFAULT_CONFIG, "")
    with pytest.raises(OutputError, match="cannot be made"):
        evaluate_cohort(request, SMALL)


def test_too_many_folds_and_too_few_groups_are_refused(cohort):
    whole = read_cohort(cohort)
    with pytest.raises(InputError, match="21 subjects cannot be parted into 22 folds"):
        check(whole, [], Design(folds=22))
    with pytest.raises(InputError, match="2 groups of sex cannot be parted into 5 folds"):
        check(whole, [], Design(group="sex"))
    check(whole, ["group"], Design())


def test_who_is_in_no_group_is_alone(cohort):
    edit(cohort, lambda rows: [row | {"site": "n/a" if n < 2 else "AB"[n % 2]}
                               for n, row in enumerate(rows)])
    groups = groups_of(read_cohort(cohort), "site")
    assert len(set(groups)) == 4
    assert groups[2] == groups[4] != groups[3]


def test_maps_that_cannot_be_are_refused_and_short_ones_do_not_count(cohort, network, settings):
    member = read_cohort(cohort).members[0]
    image = nibabel.load(member.images[Role.FA])
    fa = np.array(image.dataobj)
    nibabel.save(nibabel.Nifti1Image(fa * 1000, image.affine), member.images[Role.FA])
    with pytest.raises(InputError, match=r"sub-00: FA has a mean of 3\d\d"):
        measure(member, network, settings)
    fa[:22] = np.nan
    nibabel.save(nibabel.Nifti1Image(fa, image.affine), member.images[Role.FA])
    known = np.isfinite(measure(member, network, settings).means[0])
    assert known.any()
    assert not known.all()


def test_a_quantity_that_never_varies_is_refused(measured):
    whole, measures = measured
    same = [replace(one, means=np.full_like(one.means, 0.4)) for one in measures]
    with pytest.raises(InputError, match=r"FA of the caudate nucleus is 0\.4 in every subject"):
        evaluate(tabulate(whole, same, []), SMALL)
    none = [replace(one, means=np.full_like(one.means, np.nan)) for one in measures]
    with pytest.raises(InputError, match="nothing to evaluate"):
        evaluate(tabulate(whole, none, []), SMALL)


def test_nuclei_alone_relative_maps_and_odd_files_are_refused(cohort, network, settings):
    member = read_cohort(cohort).members[0]
    image = nibabel.load(member.regions)
    nuclei = np.asarray(image.dataobj)
    nibabel.save(nibabel.Nifti1Image(np.where(nuclei > 6, 0, nuclei), image.affine),
                 member.regions)
    with pytest.raises(InputError, match="holds no white matter"):
        measure(member, network, settings)
    cbf = member.images[Role.CBF]
    cbf.rename(cbf.with_name("sub-00_desc-relative_cbf.nii.gz"))
    with pytest.raises(InputError, match="relative CBF"):
        read_cohort(cohort)
    (cohort / "dataset_description.json").write_text("[]")
    with pytest.raises(InputError, match="no object"):
        read_cohort(cohort)


def test_a_broken_kept_measure_is_measured_anew(cohort, network, settings, tmp_path):
    few = replace(read_cohort(cohort), members=read_cohort(cohort).members[:1])
    (first,) = measure_all(few, network, "a", tmp_path, settings)
    (kept,) = (tmp_path / "measures").iterdir()
    kept.write_bytes(b"PK broken")
    (again,) = measure_all(few, network, "a", tmp_path, settings)
    assert np.array_equal(first.means, again.means)


def test_no_cohort_is_written_over_another(tmp_path):
    (tmp_path / "dataset_description.json").write_text('{"Seed": 9}')
    with pytest.raises(OutputError, match="holds another cohort"):
        write_cohort(tmp_path, [])
    assert (tmp_path / "dataset_description.json").read_text() == '{"Seed": 9}'


def test_other_diseases_change_means_as_they_would_the_tissue():
    means = np.full((3, 2, 1), 10.0)
    other, labels = redrawn(means, [11, 12, 13], 5)
    again, _ = redrawn(other, [11, 12, 13], 5)
    assert not np.allclose(other, means)
    assert np.allclose(again / other, other / means)
    assert {len(column) for column in labels.values()} == {3}


def test_regions_on_another_grid_are_refused(cohort, network, settings):
    member = read_cohort(cohort).members[0]
    shifted = Path(member.regions)
    image = nibabel.load(shifted)
    affine = image.affine.copy()
    affine[0, 3] += 5
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), affine), shifted)
    with pytest.raises(InputError, match="another grid"):
        measure(member, network, settings)
