"""A small study with findings, made in code: oblique slices, classic or enhanced multi-frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from highdicom import Volume
from pydicom import Dataset
from pydicom.uid import UID, generate_uid

from operators.dicom_writer.settings import WriterSettings
from operators.dicom_writer.write import write_results
from operators.labels import LesionClass, Side, structure
from operators.types import (
    Acquisition,
    Asymmetry,
    CoregisteredStudy,
    Decision,
    Findings,
    LabelEstimate,
    Lesion,
    LesionMap,
    LncEstimates,
    LncScore,
    ModelIdentity,
    NotAssessed,
    Provenance,
    RegionEstimate,
    RegionMap,
    RegionMeasure,
    Registration,
    Role,
    Sample,
    Series,
    Statistic,
    StepRecord,
    Study,
    Unit,
    ZScore,
)

SHAPE = (12, 32, 40)
SPACING_MM = (2.0, 0.9, 0.8)
ORIGIN_LPS_MM = (-14.0, -21.5, 7.25)
STUDY_UID = generate_uid(entropy_srcs=["study"])
FRAME_UID = generate_uid(entropy_srcs=["frame of reference"])
NOW = datetime(2026, 3, 4, 11, 12, 13, tzinfo=UTC)
PATIENT_NAME, PATIENT_ID = "Nachname^Vorname", "ID-4711"


def oblique_volume(array: np.ndarray, tilt_deg: float = 11.0) -> Volume:
    """`array` on an oblique grid: rotated about x, then about z."""
    a, b = np.deg2rad(tilt_deg), np.deg2rad(-7.0)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    axes_xyz = about_z @ about_x
    affine = np.eye(4)
    # columns: slice (z), row index (y), column index (x)
    affine[:3, :3] = axes_xyz[:, [2, 1, 0]] * np.array(SPACING_MM)
    affine[:3, 3] = ORIGIN_LPS_MM
    return Volume(array, affine, coordinate_system="PATIENT", frame_of_reference_uid=FRAME_UID)


def patient_header() -> Dataset:
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 100"
    header.PatientName, header.PatientID = PATIENT_NAME, PATIENT_ID
    header.PatientBirthDate, header.PatientSex = "19500102", "F"
    header.PatientAge, header.PatientWeight = "076Y", "61.5"
    header.StudyInstanceUID, header.StudyID = STUDY_UID, "S1"
    header.StudyDate, header.StudyTime = "20260304", "101112"
    header.AccessionNumber, header.ReferringPhysicianName = "A1", "Doe^Jane"
    header.StudyDescription = "MR brain"
    return header


def mr_header(series_uid: str, number: int) -> Dataset:
    header = patient_header()
    header.Modality, header.Manufacturer = "MR", "Simulated"
    header.ManufacturerModelName, header.SoftwareVersions = "Phantom", "1"
    header.SeriesInstanceUID, header.SeriesNumber = series_uid, number
    header.FrameOfReferenceUID, header.PositionReferenceIndicator = FRAME_UID, ""
    header.PatientPosition, header.BodyPartExamined = "HFS", "BRAIN"
    header.Rows, header.Columns = SHAPE[1:]
    return header


def classic_headers(volume: Volume, series_uid: str, number: int) -> tuple[Dataset, ...]:
    headers = []
    for index in range(volume.spatial_shape[0]):
        header = mr_header(series_uid, number)
        header.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.4")
        header.SOPInstanceUID = generate_uid(entropy_srcs=[series_uid, str(index)])
        header.InstanceNumber = index + 1
        header.ScanningSequence, header.SequenceVariant = "GR", "SP"
        header.ScanOptions, header.MRAcquisitionType = "", "3D"
        header.RepetitionTime, header.EchoTime, header.EchoTrainLength = "30", "20", "1"
        header.ImagePositionPatient = volume.get_plane_position(index)[0].ImagePositionPatient
        orientation = volume.get_plane_orientation()[0].ImageOrientationPatient
        header.ImageOrientationPatient = orientation
        header.PixelSpacing = volume.get_pixel_measures()[0].PixelSpacing
        header.SliceThickness = "2"
        headers.append(header)
    return tuple(headers)


def enhanced_header(volume: Volume, series_uid: str, number: int) -> tuple[Dataset, ...]:
    header = mr_header(series_uid, number)
    header.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.4.1")
    header.SOPInstanceUID = generate_uid(entropy_srcs=[series_uid])
    header.NumberOfFrames = volume.spatial_shape[0]
    shared = Dataset()
    shared.PlaneOrientationSequence = volume.get_plane_orientation()
    shared.PixelMeasuresSequence = volume.get_pixel_measures()
    header.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for index in range(volume.spatial_shape[0]):
        frame = Dataset()
        frame.PlanePositionSequence = volume.get_plane_position(index)
        frames.append(frame)
    header.PerFrameFunctionalGroupsSequence = frames
    return (header,)


def series(
    role: Role, unit: Unit, number: int, *, enhanced: bool = False,
    derived_from: tuple[Role, ...] = (), source: Series | None = None, scale: float = 100.0,
) -> Series:
    """A series of smooth values with noise; a computed one shares its source's headers."""
    rng = np.random.default_rng(number)
    volume = oblique_volume((rng.standard_normal(SHAPE) * scale).astype(np.float32))
    uid = generate_uid(entropy_srcs=[role.value])
    make = enhanced_header if enhanced else classic_headers
    headers = source.headers if source else make(volume, uid, number)
    return Series(
        role=role, volumes=(volume,), samples=(Sample(echo_time_ms=20.0),), unit=unit,
        headers=headers, series_uid=source.series_uid if source else uid,
        description=role.value, reason=f"chosen as {role.value}",
        acquisition=Acquisition(repetition_time_ms=30.0, field_strength_t=3.0),
        derived_from=derived_from,
    )


def region_map() -> RegionMap:
    """Blocks of left and right putamen, a frontal lobe and the brain stem."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[3:9, 8:20, 22:28] = structure("putamen", Side.LEFT).number
    labels[3:9, 8:20, 12:18] = structure("putamen", Side.RIGHT).number
    labels[3:9, 2:6, 22:28] = structure("frontal lobe", Side.LEFT).number
    labels[0:2, 12:20, 18:24] = structure("brain stem", Side.MIDLINE).number
    brain = np.zeros(SHAPE, dtype=bool)
    brain[:, 1:-1, 4:-4] = True
    return RegionMap(
        labels=oblique_volume(labels), brain=oblique_volume(brain), source=Role.T1W,
        method="template registration", quality=0.9,
    )


def lesion_map() -> LesionMap:
    """Three lesions: a microbleed in the left frontal lobe, one in the right putamen, calcium."""
    places = {
        1: (LesionClass.MICROBLEED, structure("frontal lobe", Side.LEFT), (4, 3, 24), 0.31),
        2: (LesionClass.MICROBLEED, structure("putamen", Side.RIGHT), (5, 12, 14), 0.24),
        4: (LesionClass.CALCIFICATION, None, (8, 28, 30), -0.42),
    }
    labels = np.zeros(SHAPE, dtype=np.uint16)
    lesions = []
    for index, (kind, site, (k, j, i), peak) in places.items():
        labels[k : k + 2, j : j + 2, i : i + 3] = index
        lesions.append(
            Lesion(
                index=index, kind=kind, location=site, volume_mm3=12 * float(np.prod(SPACING_MM)),
                diameter_mm=3.0, centroid_lps_mm=(1.0, 2.0, 3.0), mean_ppm=peak / 2, peak_ppm=peak,
                probability=0.93, vesselness=0.1, reason="round and dark",
                uid=generate_uid(entropy_srcs=["lesion", str(index)]),
            )
        )
    probability = oblique_volume(np.linspace(0, 1, labels.size, dtype=np.float32).reshape(SHAPE))
    return LesionMap(
        labels=oblique_volume(labels), probabilities={LesionClass.MICROBLEED: probability},
        lesions=tuple(lesions), inputs=(Role.SWI, Role.QSM),
        model=ModelIdentity("net", "1.2", "ab" * 32, "simulated subjects only"),
    )


@pytest.fixture(scope="module")
def empty_lesions() -> LesionMap:
    """A lesion map that was sought and found empty."""
    full = lesion_map()
    empty = full.labels.with_array(np.zeros(SHAPE, dtype=np.uint16))
    return replace(full, labels=empty, lesions=())


def lnc_score() -> LncScore:
    """Both putamina: FA whole, CBF relative and half covered, no susceptibility on the left."""

    def measure(side: Side, fa: float, chi: float) -> RegionMeasure:
        nowhere = float("nan")
        return RegionMeasure(
            structure=structure("putamen", side), volume_mm3=622.08,
            quantities={
                Role.FA: Statistic(fa, 0.05, fa - 0.01, 1.0, Unit.RATIO),
                Role.CBF: Statistic(0.8, 0.1, 0.79, 0.5, Unit.RELATIVE_CBF),
                Role.QSM: Statistic(chi, nowhere, nowhere, 0.0 if np.isnan(chi) else 1.0, Unit.PPM),
            },
            lesion_counts={LesionClass.MICROBLEED: 1}, lesion_volume_mm3=17.28,
        )

    return LncScore(
        measures=(measure(Side.LEFT, 0.21, float("nan")), measure(Side.RIGHT, 0.25, 0.04)),
        asymmetries=(Asymmetry("putamen", Role.FA, -17.4), Asymmetry("putamen", None, 2.0)),
        notes=("Perfusion is relative.", "CBF covers half of the putamen."),
    )


def lnc_estimates() -> LncEstimates:
    """FA and CBF of the putamen, a label, z-scores and one saliency map."""
    saliency = np.zeros(SHAPE, np.float32)
    saliency[4:8, 10:18, 23:27] = 0.5
    saliency[5, 12, 24] = 1
    quantities = (
        RegionEstimate("putamen", Role.FA, 0.22, 0.18, 0.26, 0.23, Unit.RATIO, 79),
        RegionEstimate("putamen", Role.CBF, 41.0, 30.0, 52.0, float("nan"), Unit.ABSOLUTE_CBF, 79),
    )
    return LncEstimates(
        regions=quantities,
        labels=(LabelEstimate("group", "B", 0.71, (0.62, 0.5, 0.73), 0.38, 79),),
        z_scores=(ZScore(structure("putamen", Side.LEFT), Role.FA, -1.25),
                  ZScore(structure("putamen", Side.RIGHT), None, 0.5)),
        reference="group = A (26 subjects)",
        saliency={"fa": oblique_volume(saliency), "cbf": oblique_volume(np.zeros_like(saliency))},
        model=ModelIdentity("LNC of a cohort", "0.1", "cd" * 32, "79 subjects"),
        notes=("No estimate of label lsa_roots.",),
    )


@pytest.fixture(scope="module")
def estimated() -> LncScore:
    """The LNC with a model of a cohort."""
    return replace(lnc_score(), estimates=lnc_estimates(),
                   lesion_counts={LesionClass.MICROBLEED: 2}, lesion_volume_mm3=34.56)


@pytest.fixture(scope="module")
def provenance() -> Provenance:
    return Provenance(
        software_version="0.1.0", started="2026-03-04T11:10:00+00:00",
        settings={"dicom_writer": {"bids": True}}, libraries={"numpy": "1.26.4"},
        steps=(StepRecord("registration", 2.5, 4.0, 900.0),),
    )


@pytest.fixture(scope="module")
def make_findings() -> Callable[..., Findings]:
    """Findings from parts; any part can be given as NotAssessed."""

    def make(
        *, enhanced: bool = False, lesions: LesionMap | NotAssessed | None = None,
        regions: RegionMap | NotAssessed | None = None, lnc: LncScore | NotAssessed | None = None,
    ) -> Findings:
        magnitude = series(Role.MAGNITUDE, Unit.ARBITRARY, 3, enhanced=enhanced)
        t1w = series(Role.T1W, Unit.ARBITRARY, 4)
        members = {
            Role.MAGNITUDE: magnitude,
            Role.T1W: t1w,
            Role.QSM: series(Role.QSM, Unit.PPM, 5, scale=0.1, source=magnitude,
                             derived_from=(Role.MAGNITUDE,)),
            Role.FA: series(Role.FA, Unit.RATIO, 6, scale=0.3, source=t1w,
                            derived_from=(Role.DWI,)),
        }
        decisions = (
            Decision(magnitude.series_uid, 3, "gre", "MR", ("ORIGINAL",), 1, SHAPE,
                     Role.MAGNITUDE, "three echoes"),
            Decision("1.2.3", 1, "localiser", "MR", ("ORIGINAL",), 3, None, None, "a localiser"),
        )
        study = Study(STUDY_UID, patient_header(), members, decisions, ("one file skipped",))
        registration = Registration(
            Role.T1W, Role.T1W, np.eye(4), "mutual information", 0.7, True, "accepted"
        )
        given = regions or region_map()
        brain = given.brain if isinstance(given, RegionMap) else region_map().brain
        coregistered = CoregisteredStudy(
            study=study, reference=Role.MAGNITUDE,
            contrasts={role: member.volumes[0] for role, member in members.items()},
            registrations={Role.T1W: registration}, brain=brain,
            dropped={Role.T2W: "registration failed"},
        )
        return Findings(coregistered, given, lesions or lesion_map(), lnc or lnc_score())

    return make


@pytest.fixture(scope="module")
def written(
    make_findings: Callable[..., Findings], provenance: Provenance,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., Path]]:
    """The output folder of findings made from parts, written once per module for equal parts.

    The report page is a stand-in. Findings made twice from the same parts are equal.
    """
    outputs: dict[frozenset, Path] = {}

    def write(**parts: object) -> Path:
        key = frozenset(parts.items())
        if key not in outputs:
            out = tmp_path_factory.mktemp("written") / "out"
            write_results(
                make_findings(**parts), out, settings=WriterSettings(), provenance=provenance,
                now=NOW,
            )
            outputs[key] = out
        return outputs[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "operators.dicom_writer.write.report_pdf",
            lambda findings, *, provenance: b"%PDF-1.7 odd",  # noqa: ARG005
        )
        yield write
