"""LNC measures are what plain numpy says they are, and partial coverage is never hidden."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from highdicom import Volume
from pydicom import Dataset

from operators.labels import LNC_NAMES, LesionClass, Side, structure
from operators.lnc_scorer.score import score
from operators.lnc_scorer.settings import LncSettings
from operators.types import (
    CoregisteredStudy,
    Lesion,
    LesionMap,
    LncScore,
    ModelIdentity,
    NotAssessed,
    RegionMap,
    RegionMeasure,
    Role,
    Sample,
    Series,
    Study,
    Unit,
)

SHAPE = (8, 20, 30)
AFFINE = np.array([[0, 0, 1.5, 0], [0, 1.5, 0, 0], [2.0, 0, 0, 0], [0, 0, 0, 1.0]])
VOXEL_MM3 = 4.5
SETTINGS = LncSettings()


def volume(array: np.ndarray) -> Volume:
    return Volume(array, AFFINE, "PATIENT", frame_of_reference_uid="1.2.3")


def region_map() -> RegionMap:
    labels = np.zeros(SHAPE, np.uint8)
    for row, name in enumerate(LNC_NAMES):
        labels[2:6, 3 * row : 3 * row + 2, 20:25] = structure(name, Side.LEFT).number
        labels[2:6, 3 * row : 3 * row + 2, 5:9] = structure(name, Side.RIGHT).number
    return RegionMap(volume(labels), volume(labels > 0), Role.T1W, "by hand", 1.0)


def study(*, cbf_unit: Unit = Unit.ABSOLUTE_CBF) -> CoregisteredStudy:
    rng = np.random.default_rng(5)
    contrasts = {
        Role.FA: volume(rng.uniform(0.2, 0.6, SHAPE).astype(np.float32)),
        Role.CBF: volume(rng.uniform(30, 70, SHAPE).astype(np.float32)),
        Role.QSM: volume(rng.normal(0.05, 0.02, SHAPE).astype(np.float32)),
    }
    units = {Role.FA: Unit.RATIO, Role.CBF: cbf_unit, Role.QSM: Unit.PPM}
    series = {
        role: Series(role, (image,), (Sample(),), units[role], (), "1.2", "", "chosen")
        for role, image in contrasts.items()
    }
    return CoregisteredStudy(
        Study("1.9", Dataset(), series, ()), Role.T1W, contrasts, {}, volume(np.ones(SHAPE, bool)),
        {},
    )


def lesion_map() -> LesionMap:
    labels = np.zeros(SHAPE, np.uint16)
    labels[3, 3:5, 20:22] = 1
    labels[3, 3, 5] = 2
    model = ModelIdentity("unet", "0", "0", "simulated lesions")

    def lesion(index: int, kind: LesionClass) -> Lesion:
        centre = (0.0, 0.0, 0.0)
        return Lesion(index, kind, None, 1, 1, centre, None, None, 0.9, 0, "", f"1.{index}")

    found = (lesion(1, LesionClass.MICROBLEED), lesion(2, LesionClass.CALCIFICATION))
    return LesionMap(volume(labels), {}, found, (Role.SWI,), model)


def assessed(**changes: object) -> LncScore:
    result = score(replace(study(), **changes), region_map(), lesion_map(), SETTINGS)
    assert isinstance(result, LncScore)
    return result


def measure(result: LncScore, name: str, side: Side) -> RegionMeasure:
    return next(m for m in result.measures if m.structure == structure(name, side))


@pytest.mark.parametrize("role", [Role.FA, Role.CBF, Role.QSM])
@pytest.mark.parametrize("side", [Side.LEFT, Side.RIGHT])
def test_statistics_equal_plain_numpy(role: Role, side: Side) -> None:
    statistic = measure(assessed(), "putamen", side).quantities[role]
    inside = region_map().labels.array == structure("putamen", side).number
    values = study().contrasts[role].array[inside]
    assert statistic.mean == pytest.approx(values.mean(), rel=1e-6)
    assert statistic.sd == pytest.approx(values.std(), rel=1e-5)
    assert statistic.median == pytest.approx(np.median(values), rel=1e-6)
    assert statistic.coverage == 1.0


def test_volume_is_voxels_times_voxel_volume() -> None:
    assert measure(assessed(), "putamen", Side.LEFT).volume_mm3 == pytest.approx(40 * VOXEL_MM3)
    assert measure(assessed(), "putamen", Side.RIGHT).volume_mm3 == pytest.approx(32 * VOXEL_MM3)


def test_volume_asymmetry_is_percent_of_the_mean_of_both_sides() -> None:
    found = {(a.name, a.role): a.percent for a in assessed().asymmetries}
    assert found["putamen", None] == pytest.approx(100 * (40 - 32) / 36)
    assert ("putamen", Role.QSM) not in found


def test_a_slab_that_misses_half_the_putamen_says_so_by_name_and_share() -> None:
    whole = study()
    cbf = whole.contrasts[Role.CBF].array.copy()
    cbf[4:, :, 15:] = np.nan
    result = assessed(contrasts={**whole.contrasts, Role.CBF: volume(cbf)})
    statistic = measure(result, "putamen", Side.LEFT).quantities[Role.CBF]
    assert statistic.coverage == pytest.approx(0.5)
    assert np.isfinite(statistic.mean)
    assert any("left putamen 50 %" in note for note in result.notes)
    assert not any("right putamen" in note for note in result.notes)


def test_a_region_outside_the_slab_has_no_mean_and_no_asymmetry() -> None:
    whole = study()
    cbf = np.full(SHAPE, np.nan, np.float32)
    result = assessed(contrasts={**whole.contrasts, Role.CBF: volume(cbf)})
    assert np.isnan(measure(result, "caudate nucleus", Side.LEFT).quantities[Role.CBF].mean)
    assert not any(a.role is Role.CBF for a in result.asymmetries)


def test_relative_cbf_is_called_relative() -> None:
    result = score(study(cbf_unit=Unit.RELATIVE_CBF), region_map(), lesion_map(), SETTINGS)
    assert isinstance(result, LncScore)
    assert any("CBF is relative" in note for note in result.notes)
    assert not any("CBF is relative" in note for note in assessed().notes)


def test_burden_counts_classes_apart_and_calcium_adds_no_volume() -> None:
    left, right = (measure(assessed(), "putamen", side) for side in (Side.LEFT, Side.RIGHT))
    assert left.lesion_counts[LesionClass.MICROBLEED] == 1
    assert left.lesion_volume_mm3 == pytest.approx(4 * VOXEL_MM3)
    assert right.lesion_counts[LesionClass.CALCIFICATION] == 1
    assert right.lesion_volume_mm3 == 0


def test_without_lesions_the_burden_is_unknown_not_zero() -> None:
    result = score(study(), region_map(), NotAssessed("no SWI"), SETTINGS)
    assert isinstance(result, LncScore)
    assert measure(result, "putamen", Side.LEFT).lesion_counts == {}


def test_without_regions_or_contrasts_nothing_is_assessed_and_the_reason_is_passed_on() -> None:
    no_regions = score(study(), NotAssessed("registration failed"), lesion_map(), SETTINGS)
    assert no_regions == NotAssessed("Regions were not assessed: registration failed")
    bare = replace(study(), contrasts={}, dropped={Role.FA: "b0 did not register"})
    nothing = score(bare, region_map(), lesion_map(), SETTINGS)
    assert isinstance(nothing, NotAssessed)
    assert "b0 did not register" in nothing.reason
