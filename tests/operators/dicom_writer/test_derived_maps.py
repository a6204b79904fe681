"""Computed maps keep their values, sign, place and source as MR Image objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from highdicom import Volume, get_volume_from_series
from pydicom import Dataset, dcmread

from operators.dicom_writer.derived_maps import PADDING, stored_values, value_step
from operators.types import Findings, Role, Unit


def _slices(out: Path, role: Role) -> list[Dataset]:
    return [dcmread(path) for path in sorted((out / "dicom" / role.name).glob("*.dcm"))]


def _stored(slices: list[Dataset]) -> Volume:
    return get_volume_from_series(slices, apply_real_world_transform=False)


@pytest.mark.parametrize(
    ("role", "step", "unit"), [(Role.QSM, 0.001, "ppm"), (Role.FA, 0.001, "{ratio}")]
)
def test_values_come_back_within_half_a_step_on_the_native_oblique_grid(
    written: Callable[..., Path], make_findings: Callable[..., Findings],
    role: Role, step: float, unit: str,
) -> None:
    given = make_findings().study.study.series[role].volumes[0]
    slices = _slices(written(), role)
    mapping = slices[0].RealWorldValueMappingSequence[0]
    assert mapping.RealWorldValueSlope == pytest.approx(step)
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == unit
    back = _stored(slices).match_geometry(given)
    values = back.array * mapping.RealWorldValueSlope
    assert np.abs(values - given.array).max() <= step / 2 + 1e-6
    assert values.min() < -step  # the sign survives
    np.testing.assert_allclose(back.affine, given.affine, atol=1e-4)


def test_a_map_is_marked_as_computed_and_names_its_source_slice(
    written: Callable[..., Path], make_findings: Callable[..., Findings]
) -> None:
    headers = make_findings().study.study.series[Role.MAGNITUDE].headers
    slices = _slices(written(), Role.QSM)
    assert len(slices) == len(headers)
    for dataset, header in zip(slices, headers, strict=True):
        assert list(dataset.ImageType[:2]) == ["DERIVED", "SECONDARY"]
        assert dataset.ImageType[3] == "QSM"
        assert [item.ReferencedSOPInstanceUID for item in dataset.SourceImageSequence] == [
            header.SOPInstanceUID
        ]
        assert dataset.FrameOfReferenceUID == header.FrameOfReferenceUID
        assert dataset.SeriesInstanceUID != header.SeriesInstanceUID
    assert slices[0].DerivationDescription == "chosen as qsm"
    assert "0.001 ppm" in slices[0].SeriesDescription


def test_an_enhanced_source_is_named_whole(
    written: Callable[..., Path], make_findings: Callable[..., Findings]
) -> None:
    header = make_findings(enhanced=True).study.study.series[Role.MAGNITUDE].headers[0]
    for dataset in _slices(written(enhanced=True), Role.QSM):
        items = dataset.SourceImageSequence
        assert [item.ReferencedSOPInstanceUID for item in items] == [header.SOPInstanceUID]
        assert (dataset.ScanningSequence, dataset.SequenceVariant) == ("RM", "NONE")
        assert float(dataset.MagneticFieldStrength) == 3.0


def test_what_is_not_known_is_padding_and_never_zero() -> None:
    values = np.array([0.0, np.nan, -0.0421, 40.0, np.inf], dtype=np.float32)
    assert stored_values(values, 0.001).tolist() == [0, PADDING, -42, 32767, PADDING]


def test_a_map_beyond_sixteen_bits_gets_a_coarser_step_instead_of_clipping(
    make_findings: Callable[..., Findings]
) -> None:
    series = make_findings().study.study.series[Role.QSM]
    volume = series.volumes[0]
    huge = replace(series, volumes=(volume.with_array(volume.array * 1e4),))
    step = value_step(huge)
    assert step > 0.001
    largest = float(np.abs(huge.volumes[0].array).max())
    assert np.abs(stored_values(huge.volumes[0].array, step)).max() * step == pytest.approx(
        largest, rel=1e-3
    )


def test_values_without_a_unit_get_twelve_bits(make_findings: Callable[..., Findings]) -> None:
    series = replace(make_findings().study.study.series[Role.QSM], unit=Unit.ARBITRARY)
    stored = stored_values(series.volumes[0].array, value_step(series))
    assert np.abs(stored).max() == 4095
