import json

import numpy as np
import pytest

from apps.train import simulated
from apps.train.annotated import read_annotated
from apps.train.cohort import Plan
from apps.train.simulated import Cohort, simulate_cohort
from apps.train.subjects import examine
from operators.errors import ConfigurationError
from operators.types import Role
from tests.apps.phantom.conftest import ball, loaded, protocol  # noqa: F401


@pytest.fixture(scope="module")
def written(tmp_path_factory, loaded):  # noqa: F811
    folder = tmp_path_factory.mktemp("cohort")
    examined = examine(loaded, np.random.default_rng(0))
    simulated.write_annotated(examined, loaded, folder / "sub-0001/anat", "sub-0001")
    return folder, examined


def test_a_written_subject_is_read_as_an_annotated_scan(written):
    folder, examined = written
    (scan,) = read_annotated(folder)
    assert scan.kinds == dict(examined.kinds)
    assert scan.planted == dict(examined.planted)
    np.testing.assert_array_equal(scan.truth, examined.truth)
    np.testing.assert_array_equal(scan.brain, examined.brain)
    for role in (Role.SWI, Role.QSM, Role.T2W):
        np.testing.assert_allclose(scan.contrasts[role], examined.contrasts[role], atol=1e-4)


def test_the_table_says_what_was_planted_and_how_large(written, loaded):  # noqa: F811
    (table,) = written[0].rglob("*.tsv")
    rows = [line.split("\t") for line in table.read_text().splitlines()]
    assert rows[0] == ["index", "abbreviation", "planted", "diameter_mm"]
    assert [row[2] for row in rows[1:]] == [one.kind.value for one in loaded.truth.planted]


@pytest.fixture
def made(monkeypatch):
    """Subjects in the order made; nothing is simulated."""
    out = []

    def pretend(folder, waiting, *_):
        for number, plan, style in waiting:
            out.append((number, plan, style))
            (folder / f"sub-{number:04d}").mkdir()
            yield f"sub-{number:04d}"

    monkeypatch.setattr(simulated, "_each", pretend)
    return out


def test_a_broken_off_cohort_goes_on_and_a_larger_one_keeps_what_is_there(made, tmp_path):
    simulate_cohort(tmp_path, Cohort(3, 5))
    (tmp_path / "sub-0002").rmdir()
    made.clear()
    simulate_cohort(tmp_path, Cohort(5, 5))
    assert [number for number, _, _ in made] == [2, 4, 5]
    assert made[0][1] == Plan("test", None, 6)
    assert [style for _, _, style in made] == ["philips", "enhanced", "siemens"]
    assert len((tmp_path / "participants.tsv").read_text().splitlines()) == 6
    assert json.loads((tmp_path / "dataset_description.json").read_text())["Simulated"] is True


def test_another_cohort_in_the_same_folder_is_refused(made, tmp_path):
    simulate_cohort(tmp_path, Cohort(2, 5))
    with pytest.raises(ConfigurationError, match="other settings"):
        simulate_cohort(tmp_path, Cohort(2, 6))
    assert len(made) == 2
