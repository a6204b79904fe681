"""The networks' regions land on the anatomy; where they do not see well, the template is asked."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from highdicom import Volume
from pydicom import Dataset
from scipy.ndimage import distance_transform_edt

from apps.map.settings import REGION_MODEL
from operators.errors import ConfigurationError
from operators.labels import LNC_NAMES, Side, structure
from operators.region_segmenter import frames
from operators.region_segmenter.atlas import load_atlas, load_template, load_template_brain
from operators.region_segmenter.bundle import HEAD, METADATA, load_networks
from operators.region_segmenter.by_network import VENTRICLE_MM, fine_structures, read_regions
from operators.region_segmenter.classes import HeadClass, NucleusClass
from operators.region_segmenter.looks import Placed
from operators.region_segmenter.masks import RIM_MM
from operators.region_segmenter.segment import segment_regions
from operators.region_segmenter.settings import RegionSettings
from operators.types import CoregisteredStudy, NotAssessed, RegionMap, Role, Study

SETTINGS = RegionSettings(spacing_mm=3.0)
NUCLEI = LNC_NAMES[:4]
PAIRS = [(name, side) for name in NUCLEI for side in (Side.LEFT, Side.RIGHT)]


def study_of(image: Volume, brain: Volume, role: Role = Role.T1W) -> CoregisteredStudy:
    return CoregisteredStudy(Study("1.9", Dataset(), {}, ()), role, {role: image}, {}, brain, {})


def regions_of(study: CoregisteredStudy, bundle: Path = REGION_MODEL) -> RegionMap:
    found = segment_regions(study, SETTINGS, bundle)
    assert isinstance(found, RegionMap)
    return found


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    return 2 * float((found & truth).sum()) / float(found.sum() + truth.sum())


def volume_mm3(regions: RegionMap, name: str, side: Side) -> float:
    count = int((regions.labels.array == structure(name, side).number).sum())
    return count * float(np.prod(regions.labels.spacing))


@pytest.fixture(scope="module")
def template() -> CoregisteredStudy:
    """A brain the networks never saw, without skull; its atlas was drawn by hand."""
    return study_of(load_template(), load_template_brain())


@pytest.fixture(scope="module")
def regions(template: CoregisteredStudy) -> RegionMap:
    return regions_of(template)


def test_the_networks_are_used_and_named(regions: RegionMap) -> None:
    networks = load_networks(REGION_MODEL)
    assert networks is not None
    assert networks.identity.sha256[:12] in regions.method
    assert "template" not in regions.method


@pytest.mark.parametrize(("name", "side"), PAIRS)
def test_the_nuclei_of_the_template_are_those_drawn_by_hand(
    regions: RegionMap, name: str, side: Side
) -> None:
    number = structure(name, side).number
    wanted = 0.7 if name == "pallidum" else 0.8
    assert dice(regions.labels.array == number, load_atlas().array == number) > wanted


@pytest.mark.parametrize("name", ["brain stem", "cerebellum", "ventricles", "frontal lobe",
                                  "temporal lobe", "occipital lobe", "insula"])
def test_the_rest_of_the_brain_is_where_the_atlas_has_it(regions: RegionMap, name: str) -> None:
    side = Side.MIDLINE if name in ("brain stem", "ventricles") else Side.LEFT
    number = structure(name, side).number
    assert dice(regions.labels.array == number, load_atlas().array == number) > 0.6


def test_a_capsule_lies_between_its_nuclei(regions: RegionMap) -> None:
    for side in (Side.LEFT, Side.RIGHT):
        x = [abs(float(regions.labels.map_indices_to_reference(np.argwhere(
            regions.labels.array == structure(name, side).number).mean(axis=0)[None])[0, 0]))
            for name in ("thalamus", "internal capsule", "putamen")]
        assert x[0] < x[1] < x[2]


def test_every_label_lies_in_the_brain(regions: RegionMap) -> None:
    assert regions.brain.array[regions.labels.array > 0].all()


def test_sides_and_sizes_do_not_depend_on_how_the_array_is_stored(
    template: CoregisteredStudy, regions: RegionMap
) -> None:
    stored = study_of(template.contrasts[Role.T1W].to_patient_orientation("FRA"),
                      template.brain.to_patient_orientation("FRA"))
    same = regions_of(stored).labels.to_patient_orientation("HPL").array
    either = (same > 0) | (regions.labels.array > 0)
    assert (same == regions.labels.array)[either].mean() > 0.99


def test_a_mirrored_head_has_its_sides_mirrored(
    template: CoregisteredStudy, regions: RegionMap
) -> None:
    def mirror(volume: Volume) -> Volume:
        return volume.with_array(np.ascontiguousarray(volume.array[:, :, ::-1]))

    other = regions_of(study_of(mirror(template.contrasts[Role.T1W]), mirror(template.brain)))
    for name, side in PAIRS:
        opposite = Side.RIGHT if side is Side.LEFT else Side.LEFT
        assert volume_mm3(other, name, opposite) == pytest.approx(
            volume_mm3(regions, name, side), rel=0.05)


def test_a_field_of_view_that_ends_is_no_brain(template: CoregisteredStudy) -> None:
    image = template.contrasts[Role.T1W]
    cut = image.array.copy()
    cut[:60] = np.nan
    brain = template.brain.array.copy()
    brain[:60] = False
    found = regions_of(study_of(image.with_array(cut), template.brain.with_array(brain)))
    assert not found.labels.array[:50].any()
    assert volume_mm3(found, "putamen", Side.LEFT) > 3000


@pytest.mark.parametrize("part", [np.s_[50:], np.s_[:-50], np.s_[35:-35], np.s_[:, 35:]])
def test_lobes_stay_where_they_are_in_a_head_that_the_field_of_view_cuts(
    template: CoregisteredStudy, regions: RegionMap, part: Any
) -> None:
    cut = regions_of(study_of(template.contrasts[Role.T1W][part], template.brain[part]))
    whole, found = regions.labels.array[part], cut.labels.array
    lobes = np.isin(whole, range(13, 23)) & np.isin(found, range(13, 23))
    assert (whole == found)[lobes].mean() > 0.85


def test_an_image_of_noise_goes_to_the_template_and_is_not_assessed(
    template: CoregisteredStudy
) -> None:
    noise = np.random.default_rng(1).random(template.brain.array.shape).astype(np.float32)
    found = segment_regions(
        study_of(template.brain.with_array(noise), template.brain), SETTINGS, REGION_MODEL)
    assert isinstance(found, NotAssessed)


def test_where_the_looks_do_not_agree_enough_the_template_says_why(
    template: CoregisteredStudy
) -> None:
    strict = RegionSettings(spacing_mm=4.0, min_agreement=1.0)
    found = segment_regions(template, strict, REGION_MODEL)
    assert isinstance(found, RegionMap)
    assert "ICBM152 template" in found.method
    assert "two looks agree by" in found.method


def test_a_models_folder_without_region_networks_means_the_template(
    template: CoregisteredStudy, tmp_path: Path
) -> None:
    coarse = RegionSettings(spacing_mm=4.0)
    found = segment_regions(template, coarse, tmp_path / "region_segmenter")
    assert isinstance(found, RegionMap)
    assert "no region networks in the model folder" in found.method


@pytest.mark.parametrize("part", [HEAD, METADATA])
def test_a_broken_model_is_refused_by_name(part: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "region_segmenter"
    shutil.copytree(REGION_MODEL, bundle)
    (bundle / part).write_bytes(b"not this")
    with pytest.raises(ConfigurationError, match=bundle.name):
        load_networks(bundle)


def test_an_empty_brain_mask_does_not_blind_the_networks(template: CoregisteredStudy) -> None:
    image = template.contrasts[Role.T1W]
    empty = template.brain.with_array(np.zeros(image.spatial_shape, bool))
    lenient = SETTINGS.model_copy(update={"min_network_overlap": 0.0})
    found = segment_regions(study_of(image, empty), lenient, REGION_MODEL)
    assert isinstance(found, RegionMap)
    assert volume_mm3(found, "putamen", Side.LEFT) > 3000


def test_brain_far_from_the_mask_is_seen_and_not_believed(template: CoregisteredStudy) -> None:
    """The mask lacks the right third of the brain."""
    image, mask = template.contrasts[Role.T1W], template.brain.array.copy()
    mask[:, :, :70] = False
    networks = load_networks(REGION_MODEL)
    assert networks is not None
    found = read_regions(image, template.brain.with_array(mask), networks)
    assert found is not None
    beyond = distance_transform_edt(~mask, image.spacing) > RIM_MM + 2 * frames.HEAD_MM
    assert found.seen[beyond].sum() > 10_000
    assert not found.brain[beyond].any()
    assert not found.labels[beyond].any()


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 2, 2), (1, 40, 40)])
def test_what_is_too_small_for_a_head_is_not_assessed(shape: tuple[int, int, int]) -> None:
    brain = Volume(np.ones(shape, bool), np.eye(4), "PATIENT", frame_of_reference_uid="1.2")
    image = brain.with_array(np.ones(shape, np.float32))
    networks = load_networks(REGION_MODEL)
    assert networks is not None
    found = read_regions(image, brain, networks)
    assert found is None or found.quality < 0.5


def test_a_speck_of_a_brain_mask_ends_in_the_template(template: CoregisteredStudy) -> None:
    speck = np.zeros(template.brain.spatial_shape, bool)
    speck[95, 110, 95] = True
    found = segment_regions(
        study_of(template.contrasts[Role.T1W], template.brain.with_array(speck)),
        RegionSettings(spacing_mm=4.0), REGION_MODEL)
    assert isinstance(found, NotAssessed)


def test_an_image_without_signal_says_so(template: CoregisteredStudy) -> None:
    for value in (0.0, np.nan):
        empty = template.brain.with_array(
            np.full(template.brain.spatial_shape, value, np.float32))
        found = segment_regions(study_of(empty, template.brain), SETTINGS, REGION_MODEL)
        assert isinstance(found, NotAssessed)
        assert "no signal" in found.reason


def test_a_head_whose_sides_were_taken_for_each_other_is_not_believed(
    template: CoregisteredStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = load_networks(REGION_MODEL)
    assert networks is not None
    right_way = frames.centres

    def swapped(labels: np.ndarray, affine: np.ndarray) -> dict[int, np.ndarray]:
        found = right_way(labels, affine)
        return {(kind + 1 if kind % 2 else kind - 1) if 1 <= kind <= 8 else kind: point
                for kind, point in found.items()}

    monkeypatch.setattr(frames, "centres", swapped)
    assert read_regions(template.contrasts[Role.T1W], template.brain, networks) is None


@pytest.mark.parametrize("content", [b"", b".", b"K", b"X\xff", b"\x80\x02."])
def test_any_broken_weights_are_refused(content: bytes, tmp_path: Path) -> None:
    bundle = tmp_path / "region_segmenter"
    shutil.copytree(REGION_MODEL, bundle)
    (bundle / HEAD).write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"head\.pt"):
        load_networks(bundle)


def test_the_fine_look_redraws_the_edges_of_the_coarse_ventricles() -> None:
    """Coarse: ventricle in columns 20 to 29. Fine: fluid in columns 25 to 59, else white matter."""
    affine = frames.nuclei_affine(right=False)
    coarse = np.zeros(frames.NUCLEI_SHAPE, np.uint8)
    coarse[:, :, 20:30] = HeadClass.VENTRICLES
    fine = np.zeros((len(NucleusClass), *frames.NUCLEI_SHAPE), np.float32)
    fine[NucleusClass.WHITE, ..., :25] = fine[NucleusClass.FLUID, ..., 25:] = 1
    found = fine_structures(Placed(coarse, affine), Placed(fine, affine)).argmax(0)
    beyond = 30 + int(VENTRICLE_MM / frames.NUCLEI_MM)
    middle = found[24, 40]
    assert (middle[25:beyond] == 6).all()
    assert not middle[beyond:].any()
    assert (middle[20:25] == 7).all()
    assert not middle[:20].any()
