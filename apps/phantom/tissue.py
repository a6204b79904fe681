"""What each tissue is to a scanner: susceptibility, relaxation, proton density, FA, blood flow.

Values are for 3 T; `at_field` scales them. Sources are named at each group; a value without one is
our own choice within the range of textbooks. The iron curves and the 137/s per ppm were checked
against a second source; the other figures are as commonly quoted from the papers named, which were
not read again: look them up before citing them.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

GYROMAGNETIC_MHZ_PER_T = 42.577478
"""Proton, CODATA 2018 (shielding of water neglected)."""

AIR_PPM = 9.4
"""Air minus water: 0.36 - (-9.05) ppm (Schenck, Med Phys 1996;23:815)."""

BONE_PPM = -2.1
"""Bone minus water, as in the QSM challenge 2.0 head (Marques, MRM 2021;86:526)."""

IRON_PPM_PER_MG_PER_100G = 0.0089
"""Langkammer, NeuroImage 2012;62:1593: 0.89 ppb per mg iron in a kg of wet tissue."""

R2STAR_PER_PPM_3T = 137.0
"""Reversible relaxation (1/s) per ppm of iron at 3 T (Shin, NeuroImage 2021;240:118371)."""


class Tissue(IntEnum):
    """Tissue classes of `Anatomy.tissue`. AIR is the outside and every air space in the head."""

    AIR = 0
    SOFT = 1
    SKIN = 2
    BONE = 3
    MARROW = 4
    MUCOSA = 5
    EYE = 6
    SINUS_BLOOD = 7
    CSF = 8
    CHOROID = 9
    GREY = 10
    WHITE = 11
    WHITE_LESION = 12
    CAUDATE = 13
    PUTAMEN = 14
    PALLIDUM = 15
    THALAMUS = 16
    VENTRAL_DIENCEPHALON = 17
    BRAIN_STEM = 18
    CEREBELLAR_GREY = 19
    CEREBELLAR_WHITE = 20
    RED_NUCLEUS = 21
    SUBSTANTIA_NIGRA = 22
    DENTATE = 23
    CALLOSUM = 24
    CAPSULE = 25


BRAIN_FIRST = Tissue.CSF
"""Tissues from here on may lie in the brain mask (CSF only where it is inside it)."""


class Properties(NamedTuple):
    """One tissue at 3 T, without age-dependent iron.

    `chi_ppm` relative to water; `t2star_ms` without dephasing across the voxel; `pd` 0 to 1;
    `fa` 0 to 1; `cbf` ml/100 g/min.
    """

    chi_ppm: float
    t1_ms: float
    t2_ms: float
    t2star_ms: float
    pd: float
    fa: float
    cbf: float


# T1, T2, T2* of grey and white matter: Wansapura, JMRI 1999;9:531 (3 T). Susceptibility of grey
# (+0.02) and white (-0.03) matter: Marques 2021. Perfusion 60/22: Parkes, MRM 2004;51:736 (rounded
# up). All else, and the FA column: own choice within textbook ranges.
TABLE: dict[Tissue, Properties] = {
    Tissue.AIR: Properties(0.0, 1000, 10, 5, 0.0, 0.0, 0),
    Tissue.SOFT: Properties(0.0, 1100, 40, 25, 0.75, 0.15, 5),
    Tissue.SKIN: Properties(0.0, 550, 60, 20, 0.65, 0.1, 3),
    Tissue.BONE: Properties(BONE_PPM, 400, 8, 1.5, 0.12, 0.0, 0),
    Tissue.MARROW: Properties(-0.6, 420, 55, 10, 0.6, 0.0, 0),
    Tissue.MUCOSA: Properties(0.0, 1300, 90, 25, 0.85, 0.1, 10),
    Tissue.EYE: Properties(0.0, 4000, 1200, 300, 1.0, 0.03, 0),
    Tissue.SINUS_BLOOD: Properties(0.30, 1600, 60, 28, 0.85, 0.05, 0),
    Tissue.CSF: Properties(0.0, 4160, 1500, 400, 1.0, 0.05, 0),
    Tissue.CHOROID: Properties(0.0, 2000, 200, 60, 0.95, 0.08, 40),
    Tissue.GREY: Properties(0.02, 1331, 110, 47, 0.82, 0.14, 62),
    Tissue.WHITE: Properties(-0.03, 832, 79.6, 47, 0.70, 0.45, 22),
    Tissue.WHITE_LESION: Properties(-0.01, 1250, 140, 65, 0.80, 0.28, 15),
    Tissue.CAUDATE: Properties(-0.05, 1250, 91, 71, 0.82, 0.17, 55),
    Tissue.PUTAMEN: Properties(-0.05, 1150, 91, 71, 0.81, 0.18, 52),
    Tissue.PALLIDUM: Properties(-0.05, 1000, 91, 71, 0.75, 0.30, 38),
    Tissue.THALAMUS: Properties(-0.05, 1080, 91, 71, 0.78, 0.33, 50),
    Tissue.VENTRAL_DIENCEPHALON: Properties(-0.03, 1000, 88, 60, 0.76, 0.40, 40),
    Tissue.BRAIN_STEM: Properties(-0.02, 950, 82, 55, 0.74, 0.45, 32),
    Tissue.CEREBELLAR_GREY: Properties(0.02, 1280, 105, 47, 0.82, 0.15, 60),
    Tissue.CEREBELLAR_WHITE: Properties(-0.03, 860, 79.6, 47, 0.71, 0.45, 25),
    Tissue.RED_NUCLEUS: Properties(-0.05, 1050, 85, 71, 0.76, 0.40, 45),
    Tissue.SUBSTANTIA_NIGRA: Properties(-0.05, 1000, 85, 71, 0.75, 0.40, 42),
    Tissue.DENTATE: Properties(-0.05, 1050, 85, 71, 0.75, 0.35, 50),
    Tissue.CALLOSUM: Properties(-0.03, 780, 74, 46, 0.69, 0.72, 20),
    Tissue.CAPSULE: Properties(-0.03, 850, 84, 50, 0.71, 0.62, 22),
}

# Hallgren & Sourander, J Neurochem 1958;3:41: Fe = rise * (1 - exp(-rate * age)) + birth.
# Thalamus, nigra and dentate: their adult means (no curve given).
_IRON: dict[Tissue, tuple[float, float, float]] = {
    Tissue.PALLIDUM: (21.41, 0.09, 0.37),
    Tissue.RED_NUCLEUS: (19.48, 0.09, 0.0),
    Tissue.SUBSTANTIA_NIGRA: (18.46, 0.09, 0.0),
    Tissue.PUTAMEN: (14.62, 0.04, 0.46),
    Tissue.DENTATE: (10.35, 0.09, 0.0),
    Tissue.CAUDATE: (9.66, 0.05, 0.33),
    Tissue.THALAMUS: (4.76, 0.09, 0.0),
}

R2_PER_IRON = 0.25
"""1/s per mg/100 g at 3 T: our choice (pallidum at 60 y comes to T2 61 ms, putamen to 70 ms)."""


def iron_mg_per_100g(tissue: Tissue, age_years: float) -> float:
    """Non-haem iron of a nucleus at an age (Hallgren & Sourander 1958); 0 for other tissues."""
    if tissue not in _IRON:
        return 0.0
    rise, rate, birth = _IRON[tissue]
    return float(rise * (1.0 - np.exp(-rate * age_years)) + birth)


class PropertyTable(NamedTuple):
    """Arrays over `Tissue` numbers, float32: ppm, 1/s, 1/s, 1/s, 0-1, 0-1, ml/100 g/min."""

    chi_ppm: NDArray[np.float32]
    r1: NDArray[np.float32]
    r2: NDArray[np.float32]
    r2star: NDArray[np.float32]
    pd: NDArray[np.float32]
    fa: NDArray[np.float32]
    cbf: NDArray[np.float32]


def at_field(
    field_strength_t: float, *, age_years: float, iron_scale: NDArray[np.float64] | float = 1.0
) -> PropertyTable:
    """Tissue properties at a field strength and an age.

    R1 goes with B0**-0.38 (Rooney, MRM 2007;57:308: T1 = a * B0**0.376..0.382), reversible
    relaxation R2* - R2 linearly with B0, R2 unchanged (our simplification: it rises slightly).
    `iron_scale` multiplies the iron of each tissue (people differ), scalar or over `Tissue`.
    """
    rows = np.array([TABLE[t] for t in Tissue], dtype=np.float64)
    iron = np.array([iron_mg_per_100g(t, age_years) for t in Tissue]) * iron_scale
    ratio = field_strength_t / 3.0
    iron_ppm = IRON_PPM_PER_MG_PER_100G * iron
    r2 = 1e3 / rows[:, 2] + R2_PER_IRON * iron
    reversible = 1e3 / rows[:, 3] - 1e3 / rows[:, 2] + R2STAR_PER_PPM_3T * iron_ppm
    reversible = np.maximum(reversible - R2_PER_IRON * iron, 0.0)
    columns = (
        rows[:, 0] + iron_ppm, 1e3 / rows[:, 1] * ratio**-0.38, r2, r2 + ratio * reversible,
        rows[:, 4], rows[:, 5], rows[:, 6],
    )
    return PropertyTable(*(c.astype(np.float32) for c in columns))
