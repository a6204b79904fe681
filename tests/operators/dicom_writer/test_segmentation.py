"""SEG objects hold the masks that were given, where they were, under their codes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from highdicom import Volume
from highdicom.seg import Segmentation, segread
from pydicom import Dataset

from operators.dicom_writer.imprint import Imprint
from operators.dicom_writer.segmentation import lesion_segmentation
from operators.labels import LEFT, LESIONS, LesionClass, Side, structure
from operators.types import Findings, Provenance, Role


def _read(out: Path, part: str) -> Segmentation:
    return segread(out / "dicom" / f"SEG_{part}.dcm")


def _volume(segmentation: Segmentation, like: Volume) -> np.ndarray:
    """The segments as one label map on the grid of `like`."""
    return segmentation.get_volume(combine_segments=True).match_geometry(like).array


@pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "enhanced"])
@pytest.mark.parametrize("part", ["lesions", "regions"])
def test_masks_come_back_voxel_for_voxel_on_the_oblique_grid(
    written: Callable[..., Path], make_findings: Callable[..., Findings], part: str, enhanced: bool
) -> None:
    findings = make_findings(enhanced=enhanced)
    given = getattr(findings, part).labels
    back = _volume(_read(written(enhanced=enhanced), part), given)
    own_numbers = np.unique(given.array)
    expected = np.searchsorted(own_numbers, given.array)
    np.testing.assert_array_equal(back, expected)
    assert back.max() == len(own_numbers) - 1


@pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "enhanced"])
def test_each_frame_names_the_source_slice_it_was_drawn_on(
    written: Callable[..., Path], make_findings: Callable[..., Findings], enhanced: bool
) -> None:
    findings = make_findings(enhanced=enhanced)
    headers = findings.study.study.series[Role.MAGNITUDE].headers
    segmentation = _read(written(enhanced=enhanced), "lesions")
    sources = {header.SOPInstanceUID: header for header in headers}
    for frame in segmentation.PerFrameFunctionalGroupsSequence:
        reference = frame.DerivationImageSequence[0].SourceImageSequence[0]
        header = sources[reference.ReferencedSOPInstanceUID]
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        if enhanced:
            number = reference.ReferencedFrameNumber
            source = header.PerFrameFunctionalGroupsSequence[number - 1].PlanePositionSequence[0]
        else:
            source = header
        np.testing.assert_allclose(position, source.ImagePositionPatient, atol=1e-4)


def test_a_lesion_segment_carries_class_site_side_and_the_lesion_s_tracking_uid(
    written: Callable[..., Path], make_findings: Callable[..., Findings]
) -> None:
    findings = make_findings()
    segmentation = _read(written(), "lesions")
    first, second, third = segmentation.SegmentSequence
    assert [item.SegmentLabel for item in (first, second, third)] == ["CMB 1", "CMB 2", "CALC 4"]
    code = LESIONS[LesionClass.MICROBLEED].code
    assert first.SegmentedPropertyTypeCodeSequence[0].CodeValue == code.value
    site = first.AnatomicRegionSequence[0]
    assert site.CodeValue == structure("frontal lobe", Side.LEFT).code.value
    assert site.AnatomicRegionModifierSequence[0].CodeValue == LEFT.value
    assert "AnatomicRegionSequence" not in third
    for item, lesion in zip(segmentation.SegmentSequence, findings.lesions.lesions, strict=True):
        assert item.TrackingUID == lesion.uid
        assert item.SegmentAlgorithmType == "AUTOMATIC"


def test_the_algorithm_says_which_weights_and_that_they_saw_simulation_only(
    written: Callable[..., Path]
) -> None:
    segment = _read(written(), "lesions").SegmentSequence[0]
    algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("net", "1.2")
    assert "simulated subjects only" in algorithm.AlgorithmParameters
    assert "ab" * 32 in algorithm.AlgorithmParameters


def test_a_region_segment_says_its_side(written: Callable[..., Path]) -> None:
    segments = _read(written(), "regions").SegmentSequence
    by_label = {item.SegmentLabel: item for item in segments}
    assert set(by_label) == {"left putamen", "right putamen", "left frontal lobe", "brain stem"}
    kind = by_label["left putamen"].SegmentedPropertyTypeCodeSequence[0]
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    midline = by_label["brain stem"].SegmentedPropertyTypeCodeSequence[0]
    assert "SegmentedPropertyTypeModifierCodeSequence" not in midline


def test_a_source_with_geometry_in_each_frame_or_without_thickness_is_accepted(
    make_findings: Callable[..., Findings], provenance: Provenance
) -> None:
    for enhanced in (False, True):
        findings = make_findings(enhanced=enhanced)
        source = findings.study.study.series[Role.MAGNITUDE]
        for header in source.headers:
            if enhanced:
                shared = header.SharedFunctionalGroupsSequence.pop()
                header.SharedFunctionalGroupsSequence.append(Dataset())
                for frame in header.PerFrameFunctionalGroupsSequence:
                    frame.update(shared)
            else:
                del header.SliceThickness
        imprint = Imprint.of(
            findings, provenance=provenance, now=datetime(2026, 1, 1), first_series_number=1
        )
        back = _volume(lesion_segmentation(findings.lesions, source, imprint),
                       findings.lesions.labels)
        assert [int((back == number).sum()) for number in (1, 2, 3)] == [12, 12, 12]
        if enhanced:
            assert len(source.headers[0].SharedFunctionalGroupsSequence[0]) == 0
