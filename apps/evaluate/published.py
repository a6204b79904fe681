"""What others published on real scans, and the bars this project sets itself on simulated ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import ge, le, lt

from apps.evaluate.examination import Examination
from apps.evaluate.statistics import called, class_figures
from operators.labels import LesionClass

_BLEED, _IRON = LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT


@dataclass(frozen=True, slots=True)
class Published:
    """One published result, as a row of text."""

    name: str
    sensitivity: str
    precision: str
    false_per_scan: str
    differs: str


PUBLISHED: Mapping[LesionClass, Sequence[Published]] = {
    _BLEED: (
        Published("RLK-UNet, 506 scans", "0.887", "0.891", "0.83",
                  "real scans (GRE and SWI), annotated by people"),
        Published("DEEPMIR, 24 subjects", "0.84-0.88", "0.40-0.59", "not reported",
                  "real scans; averaged over subjects; matching rule not documented; range of "
                  "models, not one model"),
    ),
    _IRON: (
        Published("DEEPMIR, 24 subjects", "0.75-0.81", "0.62-0.75", "not reported",
                  "real scans; averaged over subjects; matching rule not documented; range of "
                  "models, not one model"),
    ),
}
"""RLK-UNet: Front Neurosci 2026, doi 10.3389/fnins.2026.1743039. DEEPMIR: Rashid et al., Sci Rep
2021;11:14124, tables 1 and 2."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure that simulated subjects must reach; `sign` is ">=", "<=" or "<"."""

    name: str
    sign: str
    wanted: float
    found: float

    @property
    def met(self) -> bool | None:
        """None where the scans cannot say."""
        if math.isnan(self.found):
            return None
        return bool({">=": ge, "<=": le, "<": lt}[self.sign](self.found, self.wanted))


def bars(examinations: Sequence[Examination]) -> list[Bar]:
    """The project's bars, over all lesions of all scans together."""
    bleeds, iron = class_figures(examinations, _BLEED), class_figures(examinations, _IRON)
    vessels = called(examinations, LesionClass.VESSEL, _BLEED)
    calcium = called(examinations, LesionClass.CALCIFICATION, _BLEED)
    return [
        Bar("microbleed sensitivity", ">=", 0.95, bleeds.sensitivity.value),
        Bar("microbleed precision", ">=", 0.90, bleeds.precision.value),
        Bar("false microbleeds per scan", "<=", 0.5, bleeds.false_per_scan),
        Bar("iron deposit sensitivity", ">=", 0.90, iron.sensitivity.value),
        Bar("iron deposit precision", ">=", 0.90, iron.precision.value),
        Bar("share of calcifications called microbleed", "<", 0.02, calcium.value),
        Bar("veins called microbleed per scan", "<", 0.3, vessels.part / len(examinations)),
    ]
