"""The one table of names, numbers, colours and codes.

SEG, SR, BIDS, findings.json, the report and the viewer all read it here. Codes are SNOMED CT (SCT),
DICOM (DCM) or, where neither has one, the project's own scheme 99LENTIFORM. MARS
categories: Gregoire et al., Neurology 2009;73:1759.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import NamedTuple

PRIVATE_SCHEME = "99LENTIFORM"
RESEARCH_NOTICE = "Research software, not a medical device."


class Code(NamedTuple):
    """A coded concept: code value, coding scheme designator, code meaning."""

    value: str
    scheme: str
    meaning: str


class Side(StrEnum):
    LEFT = "left"
    RIGHT = "right"
    MIDLINE = "midline"


class MarsCategory(StrEnum):
    """The three MARS categories; cerebellum and brain stem are infratentorial."""

    LOBAR = "lobar"
    DEEP = "deep"
    INFRATENTORIAL = "infratentorial"


class LesionClass(IntEnum):
    """What a dark spot is. The values are SEG segment numbers' order and network channels."""

    MICROBLEED = 1
    IRON_DEPOSIT = 2
    CALCIFICATION = 3
    VESSEL = 4


class LesionLabel(NamedTuple):
    """How a lesion class is named, coloured (RGB 0-255) and coded."""

    name: str
    abbreviation: str
    rgb: tuple[int, int, int]
    category: Code
    code: Code


MORPHOLOGY = Code("49755003", "SCT", "Morphologically Abnormal Structure")
ANATOMY = Code("91723000", "SCT", "Anatomical Structure")

LESIONS: dict[LesionClass, LesionLabel] = {
    LesionClass.MICROBLEED: LesionLabel(
        "Cerebral microbleed", "CMB", (230, 25, 75), MORPHOLOGY,
        Code("723857007", "SCT", "Silent micro-hemorrhage of brain"),
    ),
    LesionClass.IRON_DEPOSIT: LesionLabel(
        "Non-haemorrhagic iron deposit", "NHID", (245, 165, 35), MORPHOLOGY,
        Code("NHID", PRIVATE_SCHEME, "Non-hemorrhagic iron deposit"),
    ),
    LesionClass.CALCIFICATION: LesionLabel(
        "Calcification (mimic)", "CALC", (70, 130, 230), MORPHOLOGY,
        Code("18115005", "SCT", "Pathologic calcification"),
    ),
    LesionClass.VESSEL: LesionLabel(
        "Vessel in cross-section (mimic)", "VESSEL", (60, 180, 120), MORPHOLOGY,
        Code("VESSEL", PRIVATE_SCHEME, "Vessel mimicking a microbleed"),
    ),
}

LEFT = Code("7771000", "SCT", "Left")
RIGHT = Code("24028007", "SCT", "Right")

_L, _R, _M = Side.LEFT, Side.RIGHT, Side.MIDLINE
_LOBAR, _DEEP, _INFRA = MarsCategory.LOBAR, MarsCategory.DEEP, MarsCategory.INFRATENTORIAL


class Structure(NamedTuple):
    """One anatomical region.

    `mars` is the MARS location the region counts towards (None: no MARS location, as in CSF),
    `category` its MARS category.
    """

    number: int
    name: str
    side: Side
    mars: str | None
    category: MarsCategory | None
    rgb: tuple[int, int, int]
    code: Code

    @property
    def label(self) -> str:
        """Name with side, as a reader says it: "left putamen"."""
        return self.name if self.side is Side.MIDLINE else f"{self.side.value} {self.name}"

    @property
    def key(self) -> str:
        """Name with side, as a file or JSON key: "left_putamen"."""
        return self.label.replace(" ", "_").replace("-", "_")


def _pair(
    number: int, name: str, mars: str | None, category: MarsCategory | None,
    rgb: tuple[int, int, int], code: Code,
) -> tuple[Structure, Structure]:
    dark = (rgb[0] * 3 // 4, rgb[1] * 3 // 4, rgb[2] * 3 // 4)
    return (
        Structure(number, name, _L, mars, category, rgb, code),
        Structure(number + 1, name, _R, mars, category, dark, code),
    )


_WHITE = Code("68523003", "SCT", "Cerebral White Matter")

_TABLE: tuple[Structure, ...] = (
    *_pair(1, "caudate nucleus", "basal ganglia", _DEEP, (122, 186, 220),
           Code("11000004", "SCT", "Caudate nucleus")),
    *_pair(3, "putamen", "basal ganglia", _DEEP, (236, 13, 176),
           Code("89278009", "SCT", "Putamen")),
    *_pair(5, "pallidum", "basal ganglia", _DEEP, (13, 48, 255),
           Code("14738005", "SCT", "Globus Pallidus")),
    *_pair(7, "thalamus", "thalamus", _DEEP, (0, 160, 60),
           Code("42695009", "SCT", "Thalamus")),
    *_pair(9, "internal capsule", "internal capsule", _DEEP, (250, 230, 90),
           Code("85637007", "SCT", "Internal capsule")),
    *_pair(11, "external capsule", "external capsule", _DEEP, (200, 180, 40),
           Code("10517005", "SCT", "External capsule")),
    *_pair(13, "insula", "insula", _LOBAR, (255, 192, 32),
           Code("36169008", "SCT", "Insula")),
    *_pair(15, "frontal lobe", "frontal", _LOBAR, (200, 90, 90),
           Code("83251001", "SCT", "Frontal lobe")),
    *_pair(17, "parietal lobe", "parietal", _LOBAR, (90, 200, 90),
           Code("16630005", "SCT", "Parietal lobe")),
    *_pair(19, "temporal lobe", "temporal", _LOBAR, (90, 140, 220),
           Code("78277001", "SCT", "Temporal lobe")),
    *_pair(21, "occipital lobe", "occipital", _LOBAR, (190, 110, 210),
           Code("31065004", "SCT", "Occipital lobe")),
    Structure(23, "corpus callosum", _M, "corpus callosum", _DEEP, (120, 190, 150),
              Code("88442005", "SCT", "Corpus callosum")),
    *_pair(24, "deep and periventricular white matter", "deep and periventricular white matter",
           _DEEP, (235, 235, 235), _WHITE),
    Structure(26, "brain stem", _M, "brain stem", _INFRA, (119, 159, 176),
              Code("119238007", "SCT", "Brain stem")),
    *_pair(27, "cerebellum", "cerebellum", _INFRA, (230, 148, 34),
           Code("113305005", "SCT", "Cerebellum")),
    Structure(29, "ventricles", _M, None, None, (120, 18, 134),
              Code("35764002", "SCT", "Brain ventricle")),
)

STRUCTURES: dict[int, Structure] = {structure.number: structure for structure in _TABLE}
"""Region label map numbers, 1 to 29. Lobes hold their cortex and subcortical white matter."""

LNC_NAMES: tuple[str, ...] = (
    "caudate nucleus", "putamen", "pallidum", "thalamus", "internal capsule",
)
"""Regions of the lenticulostriate artery-neural complex, both sides."""


def structure(name: str, side: Side) -> Structure:
    """The structure of that name and side; KeyError if there is none."""
    for entry in _TABLE:
        if entry.name == name and entry.side is side:
            return entry
    raise KeyError(f"no structure {side.value} {name!r} in operators/labels.py")


SUSCEPTIBILITY = Code("126396", "DCM", "Magnetic Susceptibility")
FRACTIONAL_ANISOTROPY = Code("110808", "DCM", "Fractional Anisotropy")
MEAN_DIFFUSIVITY = Code("113202", "DCM", "Mean Diffusivity")
CEREBRAL_BLOOD_FLOW = Code("126390", "DCM", "Absolute Regional Blood Flow")
RELATIVE_BLOOD_FLOW = Code("126397", "DCM", "Relative Regional Blood Flow")
VOLUME = Code("118565006", "SCT", "Volume")
DIAMETER = Code("81827009", "SCT", "Diameter")
LESION_COUNT = Code("246206008", "SCT", "Number of lesions")
PROBABILITY = Code("122157", "DCM", "Probability")
MEAN = Code("373098007", "SCT", "Mean")
MEDIAN = Code("373099004", "SCT", "Median")
STANDARD_DEVIATION = Code("386136009", "SCT", "Standard Deviation")
BRAIN = Code("12738006", "SCT", "Brain")
MM3 = Code("mm3", "UCUM", "cubic millimeter")
MM = Code("mm", "UCUM", "millimeter")
PPM = Code("ppm", "UCUM", "ppm")
NO_UNIT = Code("1", "UCUM", "no units")
RATIO = Code("{ratio}", "UCUM", "ratio")
PERCENT = Code("%", "UCUM", "percent")
CBF_UNIT = Code("ml/[100]g/min", "UCUM", "ml/[100]g/min")
MM2_PER_S = Code("mm2/s", "UCUM", "square millimeter per second")
MAXIMUM = Code("56851009", "SCT", "Maximum")
MINIMUM = Code("255605001", "SCT", "Minimum")
PRESENT = Code("52101004", "SCT", "Present")
ABSENT = Code("272519000", "SCT", "Absent")
NOT_EVALUATED = Code("373121007", "SCT", "Not Evaluated")
BRAIN_MRI = Code("24590-2", "LN", "Brain MRI")
LNC = Code("LNC", PRIVATE_SCHEME, "Lenticulostriate artery-neural complex")
IMAGING_PATTERN = Code("PATTERN", PRIVATE_SCHEME, "Imaging pattern of microbleeds")
ASYMMETRY = Code("ASYMMETRY", PRIVATE_SCHEME, "Left minus right over their mean")
COVERAGE = Code("COVERAGE", PRIVATE_SCHEME, "Share of the region measured")
ESTIMATES = Code("ESTIMATES", PRIVATE_SCHEME, "Model estimates, not measured")
ESTIMATE = Code("ESTIMATE", PRIVATE_SCHEME, "Model estimate of the mean of both sides")
ESTIMATE_LOW = Code("ESTLOW", PRIVATE_SCHEME, "Lower end of 95 % of such estimates")
ESTIMATE_HIGH = Code("ESTHIGH", PRIVATE_SCHEME, "Upper end of 95 % of such estimates")
Z_SCORE = Code("ZSCORE", PRIVATE_SCHEME, "Standard deviations from the reference group's mean")
SALIENCY = Code("SALIENCY", PRIVATE_SCHEME, "Saliency for a model's answer")


class Pattern(StrEnum):
    """Where the microbleeds are, by image alone; no clinical criterion is evaluated.

    Cerebellar bleeds count neither as lobar nor as deep, brain stem bleeds as deep (Boston
    criteria 2.0, Charidimou et al., Lancet Neurol 2022;21:714); bleeds below the tentorium alone
    are a pattern of their own.
    """

    NONE = "none"
    LOBAR = "strictly lobar"
    DEEP = "strictly deep"
    MIXED = "mixed"
    INFRATENTORIAL = "infratentorial only"
    UNCLASSIFIED = "unclassified"

    @property
    def code(self) -> Code:
        return Code(self.name, PRIVATE_SCHEME, f"Microbleed pattern: {self.value}")
