"""The nouns of the pipeline, in the order in which a study becomes them.

    Series -> Study -> CoregisteredStudy -> RegionMap, LesionMap, LncScore -> Findings

Every image is a `highdicom.Volume`: `array` is indexed (slice, row, column), `affine` maps those
indices to patient coordinates in millimetres, DICOM LPS (+x left, +y posterior, +z superior).
Nothing here reads, writes, computes on pixels, or knows the clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.labels import LesionClass, Structure

if TYPE_CHECKING:
    from highdicom import Volume
    from pydicom import Dataset


class Role(StrEnum):
    """The part a series plays. Values are stable: they appear in app.yaml and findings.json."""

    SWI = "swi"
    MAGNITUDE = "gre_magnitude"
    PHASE = "gre_phase"
    QSM = "qsm"
    MIP = "swi_minip"
    T2W = "t2w"
    T1W = "t1w"
    FA = "fa"
    MD = "md"
    DWI = "dwi"
    CBF = "cbf"
    ASL = "asl"


class Unit(StrEnum):
    """Unit of a series' values."""

    ARBITRARY = "arbitrary"
    RADIAN = "rad"
    PPM = "ppm"
    RATIO = "ratio"
    MM2_PER_S = "mm2/s"
    ABSOLUTE_CBF = "ml/[100]g/min"
    RELATIVE_CBF = "relative"


class AslKind(StrEnum):
    """What one volume of an ASL series holds."""

    LABEL = "label"
    CONTROL = "control"
    M0 = "m0"
    DIFFERENCE = "difference"


@dataclass(frozen=True, slots=True)
class Sample:
    """What tells one volume of a series from the next; a field is None where it has no meaning."""

    echo_time_ms: float | None = None
    b_value_s_mm2: float | None = None
    b_vector_lps: tuple[float, float, float] | None = None
    asl: AslKind | None = None
    repetition: int = 0


@dataclass(frozen=True, slots=True)
class AslTiming:
    """Labelling of an ASL series as the header states it; None where it does not.

    `labelling` is "pcasl", "casl" or "pasl". For PASL, `post_label_delay_ms` is the inversion
    time TI and `label_duration_ms` the bolus duration TI1.
    """

    labelling: str | None = None
    label_duration_ms: float | None = None
    post_label_delay_ms: float | None = None
    background_suppressed: bool | None = None


@dataclass(frozen=True, slots=True)
class Acquisition:
    """Scanner settings shared by all volumes of a series; None where the header is silent."""

    manufacturer: str = ""
    model: str = ""
    field_strength_t: float | None = None
    repetition_time_ms: float | None = None
    flip_angle_deg: float | None = None
    slice_thickness_mm: float | None = None
    asl: AslTiming | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One contrast of a study: one or more volumes on one grid.

    Attributes
    ----------
    role : the part it plays.
    volumes : float32 volumes on one grid, in `unit`; at least one.
    samples : one per volume, same order.
    unit : unit of every volume.
    headers : the source objects without pixel data, for references (classic: one per slice, in
        slice order of the first volume, then the next; enhanced: one per object).
    series_uid : SeriesInstanceUID of the source.
    description : SeriesDescription of the source; for people to read, never for logs.
    reason : why this series was chosen for the role, or how it was computed.
    derived_from : roles it was computed from; empty for an acquired series.
    """

    role: Role
    volumes: tuple[Volume, ...]
    samples: tuple[Sample, ...]
    unit: Unit
    headers: tuple[Dataset, ...]
    series_uid: str
    description: str
    reason: str
    acquisition: Acquisition = field(default_factory=Acquisition)
    derived_from: tuple[Role, ...] = ()

    @property
    def is_derived(self) -> bool:
        return bool(self.derived_from)


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one volume group that the loader found: a role, or a rejection, and why."""

    series_uid: str
    series_number: int | None
    description: str
    modality: str
    image_type: tuple[str, ...]
    volume_count: int
    shape: tuple[int, int, int] | None
    role: Role | None
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """One study, its series by role, and the fate of every other series.

    `header` carries the patient and study modules that results must repeat. `warnings` are
    sentences for the report (files skipped, units guessed).
    """

    uid: str
    header: Dataset
    series: Mapping[Role, Series]
    decisions: tuple[Decision, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """How a contrast came onto the reference grid.

    Attributes
    ----------
    matrix_lps_mm : (4, 4), maps a reference point to the moving series' point, LPS mm.
    carrier : the role whose image was registered (b0 of DWI for FA, M0 for CBF).
    quality : similarity after registration, higher is better; its meaning is in `method`.
    accepted : False drops the contrast; `reason` says why.
    """

    role: Role
    carrier: Role
    matrix_lps_mm: NDArray[np.float64]
    method: str
    quality: float
    accepted: bool
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class CoregisteredStudy:
    """Every usable contrast on one grid.

    Attributes
    ----------
    reference : role whose grid is the reference (SWI magnitude or SWI; T1w without them).
    contrasts : float32 on the reference grid; NaN where the contrast's field of view ends.
    brain : bool on the reference grid.
    dropped : contrasts that could not be used, and why.
    """

    study: Study
    reference: Role
    contrasts: Mapping[Role, Volume]
    registrations: Mapping[Role, Registration]
    brain: Volume
    dropped: Mapping[Role, str]


@dataclass(frozen=True, slots=True)
class NotAssessed:
    """A question the study could not answer. Never the same as a count of zero."""

    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class RegionMap:
    """Anatomical regions on the reference grid.

    Attributes
    ----------
    labels : uint8, numbers of `labels.STRUCTURES`, 0 outside.
    brain : bool, the brain with ventricles, inside which lesions are sought.
    source : contrast the regions were read from.
    quality : 0 to 1; meaning in `method`.
    """

    labels: Volume
    brain: Volume
    source: Role
    method: str
    quality: float


@dataclass(frozen=True, slots=True)
class Lesion:
    """One connected component of the lesion map.

    Attributes
    ----------
    index : its number in `LesionMap.labels`, from 1.
    kind : the class it was given.
    location : structure its centre lies in (or the nearest within 3 mm); None: unclassified.
    volume_mm3 : voxel count times voxel volume.
    diameter_mm : largest distance between two of its voxels' outer faces in the slice plane.
    centroid_lps_mm : centre of mass.
    mean_ppm, peak_ppm : susceptibility inside; None without QSM. Peak is the value of largest
        magnitude, sign kept.
    probability : calibrated where the model card says so, in [0, 1].
    vesselness : 0 (round) to 1 (tube).
    reason : why it has this class, in words.
    uid : tracking UID, the same in SEG and SR, stable over runs on the same study.
    features : what its probability was calibrated from.
    """

    index: int
    kind: LesionClass
    location: Structure | None
    volume_mm3: float
    diameter_mm: float
    centroid_lps_mm: tuple[float, float, float]
    mean_ppm: float | None
    peak_ppm: float | None
    probability: float
    vesselness: float
    reason: str
    uid: str
    features: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """The network that answered: for algorithm identification in every object."""

    name: str
    version: str
    sha256: str
    training_data: str


@dataclass(frozen=True, slots=True, eq=False)
class LesionMap:
    """Lesions on the reference grid.

    Attributes
    ----------
    labels : uint16, `Lesion.index` at each voxel, 0 outside.
    probabilities : float32 per network class.
    lesions : sorted by index; empty means none found.
    inputs : contrasts the network saw; missing ones were zero.
    notes : sentences for the report (what a missing contrast costs, candidates not listed).
    engine : what ran the network and in which precision.
    """

    labels: Volume
    probabilities: Mapping[LesionClass, Volume]
    lesions: tuple[Lesion, ...]
    inputs: tuple[Role, ...]
    model: ModelIdentity
    notes: tuple[str, ...] = ()
    engine: str = ""

    def of(self, kind: LesionClass) -> tuple[Lesion, ...]:
        """The lesions of one class."""
        return tuple(lesion for lesion in self.lesions if lesion.kind == kind)


@dataclass(frozen=True, slots=True)
class Statistic:
    """A quantity over one region.

    `coverage` is the share of the region's voxels in which the quantity is known, 0 to 1; the
    other figures are over those voxels only.
    """

    mean: float
    sd: float
    median: float
    coverage: float
    unit: Unit


@dataclass(frozen=True, slots=True)
class RegionMeasure:
    """What was measured in one region of one side."""

    structure: Structure
    volume_mm3: float
    quantities: Mapping[Role, Statistic]
    lesion_counts: Mapping[LesionClass, int]
    lesion_volume_mm3: float | None


@dataclass(frozen=True, slots=True)
class Asymmetry:
    """100 * (left - right) / ((left + right) / 2) of a region's mean (role) or volume (None)."""

    name: str
    role: Role | None
    percent: float


@dataclass(frozen=True, slots=True)
class RegionEstimate:
    """What a model expects a region's mean of a quantity to be, from T1w; both sides together.

    Of 95 of 100 new subjects like the `subjects` it learned from the value lies from `low` to
    `high`. `measured` is what was measured, NaN where unknown.
    """

    name: str
    role: Role
    value: float
    low: float
    high: float
    measured: float
    unit: Unit
    subjects: int


@dataclass(frozen=True, slots=True)
class LabelEstimate:
    """The class of a label that a model takes the subject for.

    `right`: of the cohort's subjects called so when left out, the share that was so; None where
    none was. `balanced_accuracy` with its 95 % interval, `chance` the commonest class's share.
    """

    name: str
    value: str
    right: float | None
    balanced_accuracy: tuple[float, float, float]
    chance: float
    subjects: int


@dataclass(frozen=True, slots=True)
class ZScore:
    """Distance from a reference group's mean in its SDs, of a mean (role) or a volume (None)."""

    structure: Structure
    role: Role | None
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class LncEstimates:
    """What a model that learned from a cohort says; never instead of what was measured.

    `reference` is the group of the z-scores in words. `saliency`: per answer ("label x",
    "FA", "CBF") how much a place raises it, 0 to 1, on the reference grid.
    """

    regions: tuple[RegionEstimate, ...]
    labels: tuple[LabelEstimate, ...]
    z_scores: tuple[ZScore, ...]
    reference: str
    saliency: Mapping[str, Volume]
    model: ModelIdentity
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class LncScore:
    """The state of the lenticulostriate artery-neural complex: measured first, then estimated.

    `notes` are sentences for the report (partial coverage, relative CBF). `lesion_counts` and
    `lesion_volume_mm3` are those of `RegionMeasure` over all regions together, a lesion in two of
    them once; {} and None where lesions were not assessed.
    """

    measures: tuple[RegionMeasure, ...]
    asymmetries: tuple[Asymmetry, ...]
    notes: tuple[str, ...]
    lesion_counts: Mapping[LesionClass, int] = field(default_factory=dict)
    lesion_volume_mm3: float | None = None
    estimates: LncEstimates | NotAssessed = NotAssessed("No LNC model was asked.")


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """Everything a run has to say, ready to be written."""

    study: CoregisteredStudy
    regions: RegionMap | NotAssessed
    lesions: LesionMap | NotAssessed
    lnc: LncScore | NotAssessed


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What one step cost: wall and CPU seconds, and the process's peak memory after it."""

    name: str
    seconds: float
    cpu_seconds: float
    peak_memory_mib: float


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a result came about, for the run manifest and for DICOM's equipment modules.

    `settings` is the resolved configuration as plain data; `libraries` maps a package to its
    version; `started` is ISO 8601 with offset.
    """

    software_version: str
    started: str
    settings: Mapping[str, object]
    libraries: Mapping[str, str]
    steps: tuple[StepRecord, ...]
