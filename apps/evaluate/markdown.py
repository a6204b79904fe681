"""Figures as Markdown: numbers, intervals, tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from apps.evaluate.statistics import Agreement, Mean, Ratio

NONE = "-"
"""What the scans cannot say."""


def number(value: float, digits: int = 3) -> str:
    """ "0.912"; "-" where it is not known."""
    return f"{value:.{digits}f}" if math.isfinite(value) else NONE


def ratio(one: Ratio) -> str:
    """ "0.912 [0.85, 0.95] (52/57)"."""
    if not one.whole:
        return f"{NONE} (0/0)"
    low, high = one.interval
    return f"{one.value:.3f} [{low:.3f}, {high:.3f}] ({one.part}/{one.whole})"


def averaged(one: Mean, digits: int = 3) -> str:
    """ "0.91 ± 0.02 [0.87, 0.95], n = 23": mean, standard error, interval, scans."""
    if one.count < 2:
        return f"{number(one.value, digits)}, n = {one.count}"
    spread = f" ± {number(one.sem, digits)} [{number(one.low, digits)}, {number(one.high, digits)}]"
    return f"{number(one.value, digits)}{spread}, n = {one.count}"


def limits(one: Agreement, digits: int = 2) -> str:
    """ "-0.20 [-2.10, 1.70]": mean difference and limits of agreement."""
    if not math.isfinite(one.difference):
        return NONE
    low, high = number(one.low, digits), number(one.high, digits)
    return f"{number(one.difference, digits)} [{low}, {high}]"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
