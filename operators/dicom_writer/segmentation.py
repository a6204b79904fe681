"""DICOM SEG: one segment per lesion, one per region; binary, on the reference grid."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np

from operators.dicom_writer.coding import LATERALITY, concept
from operators.dicom_writer.imprint import SOFTWARE, Imprint, replace_element
from operators.labels import ANATOMY, LESIONS, PRIVATE_SCHEME, STRUCTURES, Structure

if TYPE_CHECKING:
    from highdicom import AlgorithmIdentificationSequence, Volume
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom import Dataset

    from operators.labels import Code
    from operators.types import Lesion, LesionMap, RegionMap, Series


def lesion_label(lesion: Lesion) -> str:
    """What a lesion is called in SEG, SR and BIDS: "CMB 3", 3 being its index."""
    return f"{LESIONS[lesion.kind].abbreviation} {lesion.index}"


def lesion_segments(lesions: LesionMap) -> dict[int, int]:
    """Lesion index -> segment number, 1 to n without gaps as PS3.3 C.8.20.4 wants them."""
    return {lesion.index: number for number, lesion in enumerate(lesions.lesions, 1)}


def region_segments(regions: RegionMap) -> dict[int, int]:
    """Structure number -> segment number, for the structures that have a voxel."""
    present = (int(number) for number in np.unique(regions.labels.array))
    known = [number for number in present if number in STRUCTURES]
    return {structure: number for number, structure in enumerate(known, 1)}


def region_tracking_uid(structure: Structure, imprint: Imprint) -> str:
    """Tracking UID of a region: the same for every run on the study."""
    return imprint.stable_uid("region", structure.key)


def lesion_segmentation(lesions: LesionMap, source: Series, imprint: Imprint) -> Segmentation:
    """The lesions as SEG; `source` is the series whose grid is the reference grid.

    There must be at least one lesion: a SEG without a segment does not exist.
    """
    algorithm = _algorithm(
        lesions.model.name, lesions.model.version,
        {"model SHA-256": lesions.model.sha256, "training data": lesions.model.training_data},
    )
    segments = lesion_segments(lesions)
    descriptions = [
        _lesion_description(lesion, segments[lesion.index], algorithm)
        for lesion in lesions.lesions
    ]
    return _segmentation(
        _renumbered(lesions.labels, segments), descriptions, source, imprint,
        name="SEG_lesions", offset=1, label="LESIONS",
    )


def region_segmentation(regions: RegionMap, source: Series, imprint: Imprint) -> Segmentation:
    """The regions as SEG, one segment per structure present."""
    algorithm = _algorithm(
        f"{SOFTWARE} regions", imprint.version, {"method": regions.method}
    )
    segments = region_segments(regions)
    descriptions = [
        _region_description(STRUCTURES[number], segments[number], algorithm, imprint)
        for number in segments
    ]
    return _segmentation(
        _renumbered(regions.labels, segments), descriptions, source, imprint,
        name="SEG_regions", offset=2, label="REGIONS",
    )


def source_headers(source: Series) -> tuple[Dataset, ...]:
    """Headers of the first volume of `source`: one per slice, or the one multi-frame object."""
    if "NumberOfFrames" in source.headers[0]:
        return source.headers[:1]
    return source.headers[: source.volumes[0].spatial_shape[0]]


def with_geometry(image: Dataset, labels: Volume) -> Dataset:
    """`image` with its geometry where highdicom looks for it.

    Siemens XA writes pixel measures and orientation in every frame, not in the shared groups; a
    series' volumes share one grid, so the first frame speaks for all. Slice thickness may be
    absent. `image` must be a copy; its elements stay as they are.
    """
    from pydicom import Dataset

    if "NumberOfFrames" not in image:
        if not image.get("SliceThickness"):
            replace_element(image, "SliceThickness", f"{labels.spacing[0]:.6g}")
        return image
    shared = Dataset()
    shared.update(image.SharedFunctionalGroupsSequence[0])
    for keyword in ("PixelMeasuresSequence", "PlaneOrientationSequence"):
        holder = shared if keyword in shared else image.PerFrameFunctionalGroupsSequence[0]
        shared[keyword] = deepcopy(holder[keyword])
    replace_element(image, "SharedFunctionalGroupsSequence", [shared])
    return image


def _segmentation(
    labels: Volume, descriptions: list[SegmentDescription], source: Series, imprint: Imprint, *,
    name: str, offset: int, label: str,
) -> Segmentation:
    from highdicom.seg import Segmentation, SegmentationTypeValues

    images = imprint.sources(source_headers(source))
    title = f"{SOFTWARE} {label.lower()} (research)"
    segmentation = Segmentation(
        source_images=[with_geometry(image, labels) for image in images],
        pixel_array=labels,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        content_label=label,
        content_description=title,
        content_creator_name=f"{SOFTWARE}^",
        contributing_equipment=imprint.equipment(),
        **imprint.keywords(name, offset, title),
    )
    if any(d.segmented_property_type.scheme_designator == PRIVATE_SCHEME for d in descriptions):
        segmentation.CodingSchemeIdentificationSequence = list(imprint.coding_schemes())
    imprint.finish(segmentation)
    return segmentation


def _renumbered(labels: Volume, segments: dict[int, int]) -> Volume:
    """`labels` with segment numbers in place of its own; what has no segment becomes 0."""
    table = np.zeros(int(labels.array.max()) + 1, dtype=np.uint16)
    for own, number in segments.items():
        if own < table.size:
            table[own] = number
    return labels.with_array(table[labels.array])


def _algorithm(
    name: str, version: str, parameters: dict[str, str]
) -> AlgorithmIdentificationSequence:
    from highdicom import AlgorithmIdentificationSequence
    from pydicom.sr.codedict import codes

    return AlgorithmIdentificationSequence(
        name=name[:64], family=codes.cid7162.ArtificialIntelligence, version=version[:64],
        source=SOFTWARE, parameters=parameters,
    )


def _lesion_description(
    lesion: Lesion, number: int, algorithm: AlgorithmIdentificationSequence
) -> SegmentDescription:
    label = LESIONS[lesion.kind]
    description = _description(
        number, lesion_label(lesion), label.category, label.code, label.rgb, lesion.uid, algorithm
    )
    if lesion.location is not None:
        region = concept(lesion.location.code)
        if lesion.location.side in LATERALITY:
            side = concept(LATERALITY[lesion.location.side])
            region.AnatomicRegionModifierSequence = [side]
        description.AnatomicRegionSequence = [region]
    return description


def _region_description(
    structure: Structure, number: int, algorithm: AlgorithmIdentificationSequence,
    imprint: Imprint,
) -> SegmentDescription:
    uid = region_tracking_uid(structure, imprint)
    description = _description(
        number, structure.label, ANATOMY, structure.code, structure.rgb, uid, algorithm
    )
    if structure.side in LATERALITY:
        side = concept(LATERALITY[structure.side])
        kind = description.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [side]
    return description


def _description(
    number: int, label: str, category: Code, code: Code, rgb: tuple[int, int, int], uid: str,
    algorithm: AlgorithmIdentificationSequence,
) -> SegmentDescription:
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription

    return SegmentDescription(
        segment_number=number, segment_label=label,
        segmented_property_category=concept(category), segmented_property_type=concept(code),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm, tracking_uid=uid, tracking_id=label,
        display_color=CIELabColor.from_rgb(*rgb),
    )
