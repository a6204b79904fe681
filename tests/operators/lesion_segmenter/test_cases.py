import numpy as np
import pytest

from operators.errors import InputError
from operators.labels import LesionClass
from operators.lesion_segmenter.cases import CASE_CHANNELS, load_case, make_case, save_case
from operators.types import Role


def case_at(pixel_mm, *, size_mm=60):
    count = round(size_mm / pixel_mm)
    shape = (6, count, count)
    brain = np.ones(shape, bool)
    image = np.random.default_rng(0).normal(100, 3, shape).astype(np.float32)
    instances = np.zeros(shape, np.uint16)
    at = round(30 / pixel_mm)
    wide = max(1, round(3 / pixel_mm))
    instances[2:4, at:at + wide, at:at + wide] = 1
    instances[4, 5, 5] = 2
    kinds = {1: LesionClass.MICROBLEED, 2: LesionClass.IRON_DEPOSIT}
    return make_case("s1", "head1", {Role.SWI: image, Role.MAGNITUDE: image}, brain,
                     (2.0, pixel_mm, pixel_mm), instances, kinds)


def test_a_case_comes_back_from_disk_as_it_was(tmp_path):
    case = case_at(1.0)
    save_case(case, tmp_path / "a.case.npz")
    again = load_case(tmp_path / "a.case.npz")
    for name in ("inputs", "present", "classes", "instances", "brain"):
        np.testing.assert_array_equal(getattr(again, name), getattr(case, name))
    assert (again.subject, again.anatomy, again.spacing_mm) == ("s1", "head1", case.spacing_mm)
    assert [path.name for path in tmp_path.iterdir()] == ["a.case.npz"]


@pytest.mark.parametrize("pixel_mm", [0.5, 1.0, 2.0])
def test_a_lesion_keeps_its_volume_to_a_pixel_and_the_smallest_is_not_lost(pixel_mm):
    case = case_at(pixel_mm)
    pixel = case.spacing_mm[1] * case.spacing_mm[2]
    wide = max(1, round(3 / pixel_mm)) * pixel_mm
    assert (case.instances == 1).sum() * pixel == pytest.approx(2 * wide**2, rel=0.25)
    assert (case.instances == 2).sum() >= 1
    assert set(np.unique(case.classes)) == {0, LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT}


def test_a_case_says_which_contrasts_it_holds():
    case = case_at(1.0)
    assert dict(zip(CASE_CHANNELS, case.present.tolist(), strict=True)) == {
        Role.SWI: True, Role.QSM: False, Role.T2W: False, Role.MAGNITUDE: True,
    }


def test_a_file_that_is_no_case_is_an_error_that_names_it(tmp_path):
    np.savez(tmp_path / "b.case.npz", inputs=np.zeros(3))
    with pytest.raises(InputError, match=r"b\.case\.npz is not a training case"):
        load_case(tmp_path / "b.case.npz")
    (tmp_path / "c.case.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(InputError, match=r"c\.case\.npz is not a training case"):
        load_case(tmp_path / "c.case.npz")
