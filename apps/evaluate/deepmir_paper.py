"""The two results tables of DEEPMIR, as published: Rashid et al., Sci Rep 2021;11:14124.

Mean ± SEM [95 % CI] of sensitivity and precision over 24 subjects; Pearson's r; Bland-Altman mean
difference [limits].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from operators.labels import LesionClass

_BLEED, _IRON = LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT


class Row(NamedTuple):
    """One row of a table, as text."""

    sensitivity: str
    precision: str
    pearson: str
    difference: str


SINGLE: Mapping[tuple[LesionClass, str], Row] = {
    (_BLEED, "SWI"): Row("0.85 ± 0.06 [0.74, 0.97]", "0.22 ± 0.04 [0.14, 0.31]", "0.96",
                         "-4.54 [-24.77, 15.69]"),
    (_BLEED, "SWI+QSM"): Row("0.88 ± 0.06 [0.77, 0.99]", "0.40 ± 0.07 [0.27, 0.54]", "0.97",
                             "-2.21 [-19.45, 15.04]"),
    (_BLEED, "SWI+T2w"): Row("0.84 ± 0.07 [0.70, 0.97]", "0.29 ± 0.06 [0.17, 0.42]", "0.76",
                             "-3.04 [-36.59, 30.51]"),
    (_BLEED, "SWI+QSM+T2w"): Row("0.87 ± 0.06 [0.76, 0.98]", "0.50 ± 0.07 [0.35, 0.64]", "0.98",
                                 "-0.71 [-15.26, 13.84]"),
    (_IRON, "SWI"): Row("0.81 ± 0.06 [0.68, 0.94]", "0.51 ± 0.07 [0.37, 0.65]", "0.88",
                        "-4.08 [-102.63, 94.46]"),
    (_IRON, "SWI+QSM"): Row("0.77 ± 0.06 [0.65, 0.89]", "0.60 ± 0.07 [0.46, 0.75]", "0.92",
                            "-2.54 [-80.42, 75.34]"),
    (_IRON, "SWI+T2w"): Row("0.77 ± 0.06 [0.64, 0.89]", "0.56 ± 0.07 [0.42, 0.70]", "0.85",
                            "9.04 [-91.48, 109.56]"),
    (_IRON, "SWI+QSM+T2w"): Row("0.81 ± 0.05 [0.71, 0.92]", "0.62 ± 0.07 [0.47, 0.76]", "0.81",
                                "2.58 [-114.33, 119.50]"),
}
"""Table 1: single-class models."""

MULTI: Mapping[tuple[LesionClass, str], Row] = {
    (_BLEED, "SWI"): Row("0.82 ± 0.07 [0.68, 0.96]", "0.36 ± 0.06 [0.24, 0.49]", "0.96",
                         "0.04 [-26.61, 26.70]"),
    (_BLEED, "SWI+QSM"): Row("0.84 ± 0.07 [0.70, 0.98]", "0.59 ± 0.08 [0.43, 0.75]", "0.99",
                             "0.67 [-18.26, 19.59]"),
    (_BLEED, "SWI+T2w"): Row("0.76 ± 0.08 [0.60, 0.91]", "0.43 ± 0.06 [0.31, 0.56]", "0.97",
                             "0.75 [-25.47, 26.97]"),
    (_BLEED, "SWI+QSM+T2w"): Row("0.89 ± 0.05 [0.79, 1.00]", "0.49 ± 0.06 [0.37, 0.61]", "0.98",
                                 "0.92 [-25.49, 27.33]"),
    (_IRON, "SWI"): Row("0.76 ± 0.06 [0.63, 0.88]", "0.70 ± 0.08 [0.55, 0.86]", "0.91",
                        "13.83 [-62.08, 89.75]"),
    (_IRON, "SWI+QSM"): Row("0.75 ± 0.07 [0.62, 0.88]", "0.75 ± 0.08 [0.60, 0.91]", "0.91",
                            "6.71 [-74.77, 88.18]"),
    (_IRON, "SWI+T2w"): Row("0.76 ± 0.06 [0.64, 0.89]", "0.60 ± 0.08 [0.44, 0.75]", "0.87",
                            "18.29 [-71.54, 108.12]"),
    (_IRON, "SWI+QSM+T2w"): Row("0.81 ± 0.05 [0.71, 0.92]", "0.64 ± 0.08 [0.49, 0.79]", "0.90",
                                "16.29 [-62.23, 94.82]"),
}
"""Table 2: multi-class models."""
