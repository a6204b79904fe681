"""What an LNC model says, in the words and numbers of the report and the structured report."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING

from operators.dicom_writer.coding import QUANTITY, UNIT
from operators.dicom_writer.content_items import both_sides, measure, site, summary_group
from operators.labels import (
    ESTIMATE,
    ESTIMATE_HIGH,
    ESTIMATE_LOW,
    ESTIMATES,
    NO_UNIT,
    RESEARCH_NOTICE,
    STRUCTURES,
    VOLUME,
    Z_SCORE,
    Side,
)
from operators.types import LabelEstimate, LncEstimates, Role, Unit

if TYPE_CHECKING:
    from highdicom.sr import Measurement

    from operators.dicom_writer.content_items import Group
    from operators.dicom_writer.imprint import Imprint

Rows = Sequence[Sequence[str]]
_DIGITS = {Role.FA: 3, Role.CBF: 1}
_NONE = "–"


def estimate_rows(estimates: LncEstimates) -> Rows:
    """A head and a row per region: what was measured, and beside it what the model expects."""
    roles = list(dict.fromkeys(one.role for one in estimates.regions))
    head = ["Both sides, mean", *(f"{role.value.upper()} {what}" for role in roles
                                  for what in ("measured", "model estimate [95 %]"))]
    rows = [head]
    for name in dict.fromkeys(one.name for one in estimates.regions):
        cells = [name]
        for role in roles:
            one = next((each for each in estimates.regions
                        if (each.name, each.role) == (name, role)), None)
            digits = _DIGITS.get(role, 3)
            cells += [_NONE, _NONE] if one is None else [
                f"{one.measured:.{digits}f}" if isfinite(one.measured) else _NONE,
                f"{one.value:.{digits}f} [{one.low:.{digits}f}, {one.high:.{digits}f}]"]
        rows.append(cells)
    return rows


def z_rows(estimates: LncEstimates) -> Rows:
    """A head and a row per region: z of volume, FA and CBF, left and right."""
    roles = list(dict.fromkeys(one.role for one in estimates.z_scores))
    by_place = {(one.structure.name, one.structure.side, one.role): one.value
                for one in estimates.z_scores}
    names = ["volume" if role is None else role.value.upper() for role in roles]
    rows = [["z-score", *(f"{name} {side}" for name in names for side in "LR")]]
    for region in dict.fromkeys(one.structure.name for one in estimates.z_scores):
        values = (by_place.get((region, side, role)) for role in roles
                  for side in (Side.LEFT, Side.RIGHT))
        rows.append([region, *(_NONE if value is None else f"{value:+.1f}" for value in values)])
    return rows


def label_words(one: LabelEstimate) -> str:
    """One sentence on a label, and how far it may be believed."""
    value, low, high = one.balanced_accuracy
    right = ("no subject of the cohort was called so when left out" if one.right is None else
             f"of the cohort's subjects called so when left out {100 * one.right:.0f} % were")
    return (f"Model estimate of {one.name}: {one.value} ({right}; balanced accuracy {value:.2f} "
            f"[{low:.2f}, {high:.2f}] over {one.subjects} subjects, commonest class "
            f"{one.chance:.2f}).")


def estimate_sentences(estimates: LncEstimates) -> list[str]:
    """Labels, the reference group, and what the figures are."""
    words = [label_words(one) for one in estimates.labels]
    if estimates.z_scores:
        words.append(f"z-scores against {estimates.reference}; volumes as they are, not by head "
                     "size.")
    interval = ("; about 95 of 100 subjects like its cohort lie in the interval"
                if estimates.regions else "")
    if estimates.regions or estimates.labels:
        words.append(f"Estimates are what {estimates.model.name} expects from T1w alone{interval}. "
                     "They replace no measurement.")
    return words


def estimates_group(estimates: LncEstimates, imprint: Imprint) -> Group:
    """All estimates as one group of the structured report, each at its region."""
    measures = []
    for one in estimates.regions:
        if isfinite(one.value):
            place = both_sides(one.name)
            measures += [
                measure(QUANTITY[one.unit], value, UNIT[one.unit], derivation=kind, site=place)
                for kind, value in ((ESTIMATE, one.value), (ESTIMATE_LOW, one.low),
                                    (ESTIMATE_HIGH, one.high))]
    measures += [_z_measure(one.structure.number, one.role, one.value)
                 for one in estimates.z_scores if isfinite(one.value)]
    return summary_group(
        "LNC model", imprint.stable_uid("total", "LNC model"), ESTIMATES, measurements=measures,
        comment=" ".join((RESEARCH_NOTICE, *estimate_sentences(estimates), *estimates.notes)))


def _z_measure(number: int, role: Role | None, value: float) -> Measurement:
    unit = {Role.FA: Unit.RATIO, Role.CBF: Unit.ABSOLUTE_CBF}
    quantity = VOLUME if role is None else QUANTITY[unit[role]]
    return measure(quantity, value, NO_UNIT, derivation=Z_SCORE, site=site(STRUCTURES[number]))
