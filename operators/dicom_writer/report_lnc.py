"""The LNC's tables of the report, in words and numbers alone."""

from __future__ import annotations

from collections.abc import Sequence

from operators.dicom_writer import report_text as text
from operators.labels import LNC_NAMES, Side
from operators.types import LncScore, RegionMeasure, Role, Statistic, Unit

Rows = Sequence[Sequence[str]]
_QUANTITIES: tuple[tuple[Role, str, str], ...] = (
    (Role.FA, "FA", "{:.2f}"),
    (Role.CBF, "CBF", "{:.0f}"),
    (Role.QSM, "QSM ppm", "{:+.3f}"),
)


def measured_rows(lnc: LncScore) -> tuple[Rows, Sequence[float]]:
    """Volumes and means, left and right, a row per region; widths of the columns in mm."""
    roles = _roles(lnc)
    names = [_column(role, name, lnc) for role, name, _ in roles]
    head = ["Region", "mm³ L", "mm³ R", *(f"{name} {side}" for name in names for side in "LR")]
    rows = [_lnc_row(name, lnc, roles) for name in LNC_NAMES]
    return [head, *rows], [32, 16, 16, *([19] * (2 * len(roles)))]


def asymmetry_rows(lnc: LncScore) -> tuple[Rows, Sequence[float]]:
    """100 (left - right) / mean of both, a row per region; widths of the columns in mm."""
    found = {(one.name, one.role): one.percent for one in lnc.asymmetries}
    roles = [None, *(role for role, _, _ in _roles(lnc))]
    known = [role for role in roles if any(key == role for _, key in found)]
    head = ["Asymmetry, %", *("mm³" if role is None else role.value.upper() for role in known)]
    rows = [[name, *(f"{round(found[name, role]):+d}" if (name, role) in found else "–"
                     for role in known)] for name in LNC_NAMES]
    return [head, *rows], [32, *([24] * len(known))]


def _roles(lnc: LncScore) -> list[tuple[Role, str, str]]:
    return [one for one in _QUANTITIES if any(one[0] in each.quantities for each in lnc.measures)]


def _lnc_row(name: str, lnc: LncScore, roles: Sequence[tuple[Role, str, str]]) -> list[str]:
    sides = [_measure(lnc, name, side) for side in (Side.LEFT, Side.RIGHT)]
    cells = [name, *(f"{m.volume_mm3:.0f}" if m else "–" for m in sides)]
    for role, _, layout in roles:
        for measure in sides:
            statistic = measure.quantities.get(role) if measure else None
            if statistic is None or statistic.coverage == 0:
                cells.append("–")
            else:
                star = "*" if statistic.coverage < 0.95 else ""
                cells.append(_figure(statistic, layout) + star)
    return cells


def _figure(statistic: Statistic, layout: str) -> str:
    if statistic.unit is Unit.RELATIVE_CBF:  # the scanner's own scale, whatever that is
        return text.three_digits(statistic.mean)
    return layout.format(statistic.mean)


def _measure(lnc: LncScore, name: str, side: Side) -> RegionMeasure | None:
    found = (m for m in lnc.measures if (m.structure.name, m.structure.side) == (name, side))
    return next(found, None)


def _column(role: Role, name: str, lnc: LncScore) -> str:
    units = {m.quantities[role].unit for m in lnc.measures if role in m.quantities}
    return f"rel. {name}" if units == {Unit.RELATIVE_CBF} else name
