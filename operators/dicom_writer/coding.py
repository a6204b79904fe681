"""Codes of `operators/labels.py` as highdicom wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operators.labels import (
    CBF_UNIT,
    CEREBRAL_BLOOD_FLOW,
    FRACTIONAL_ANISOTROPY,
    LEFT,
    MEAN_DIFFUSIVITY,
    MM2_PER_S,
    NO_UNIT,
    PPM,
    RATIO,
    RELATIVE_BLOOD_FLOW,
    RIGHT,
    SUSCEPTIBILITY,
    Code,
    Side,
)
from operators.types import Unit

if TYPE_CHECKING:
    from highdicom.sr import CodedConcept

LATERALITY: dict[Side, Code] = {Side.LEFT: LEFT, Side.RIGHT: RIGHT}

QUANTITY: dict[Unit, Code] = {
    Unit.PPM: SUSCEPTIBILITY,
    Unit.RATIO: FRACTIONAL_ANISOTROPY,
    Unit.MM2_PER_S: MEAN_DIFFUSIVITY,
    Unit.ABSOLUTE_CBF: CEREBRAL_BLOOD_FLOW,
    Unit.RELATIVE_CBF: RELATIVE_BLOOD_FLOW,
}
"""The quantity behind a unit; each unit of a map is used for one quantity only."""

UNIT: dict[Unit, Code] = {
    Unit.PPM: PPM,
    Unit.RATIO: RATIO,
    Unit.MM2_PER_S: MM2_PER_S,
    Unit.ABSOLUTE_CBF: CBF_UNIT,
    Unit.RELATIVE_CBF: NO_UNIT,
    Unit.ARBITRARY: NO_UNIT,
}


def concept(code: Code) -> CodedConcept:
    """`code` as highdicom's coded concept."""
    from highdicom.sr import CodedConcept

    return CodedConcept(code.value, code.scheme, code.meaning)
