"""Settings of the DICOM loader: which series plays which role, and how exact geometry must be."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from operators.types import Role


def _regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_regex)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Range(_Frozen):
    """Closed interval; an absent end is open."""

    min: float | None = Field(None, description="Smallest value that holds, in the field's unit.")
    max: float | None = Field(None, description="Largest value that holds, in the field's unit.")

    def holds(self, value: float | None) -> bool:
        """False for an unknown value: a rule never matches on what the header does not say."""
        if value is None:
            return False
        low = self.min is None or value >= self.min
        return low and (self.max is None or value <= self.max)


class Match(_Frozen):
    """Conditions on a group of images; those given must all hold."""

    image: bool | None = Field(None, description="It is an image with a place in the patient.")
    colour: bool | None = Field(None, description="More than one sample per pixel, or palette.")
    modality: tuple[str, ...] = Field((), description="Modality is one of these.")
    modality_not: tuple[str, ...] = Field((), description="Modality is none of these.")
    sop_class: Pattern | None = Field(None, description="Regex on the name of the SOP class.")
    manufacturer: Pattern | None = Field(None, description="Regex on Manufacturer.")
    image_type: tuple[str, ...] = Field(
        (), description="One of the image type's values equals one of these. Never a substring."
    )
    image_type_all: tuple[str, ...] = Field((), description="All of these are values of it.")
    image_type_not: tuple[str, ...] = Field((), description="None of these is a value of it.")
    description: Pattern | None = Field(
        None, description="Regex, any case, on Series Description or Protocol Name."
    )
    description_not: Pattern | None = Field(None, description="Regex that must not match there.")
    sequence: Pattern | None = Field(
        None, description="Regex, any case, on Sequence Name or Pulse Sequence Name."
    )
    scanning: tuple[str, ...] = Field(
        (), description="Scanning Sequence has one of SE, IR, GR, EP, RM (enhanced: equivalents)."
    )
    scanning_not: tuple[str, ...] = Field((), description="Scanning Sequence has none of these.")
    contrast: tuple[str, ...] = Field((), description="Acquisition Contrast is one of these.")
    component: tuple[Literal["magnitude", "phase", "real", "imaginary"], ...] = Field(
        (), description="What the values are of the complex signal."
    )
    acquisition: Literal["2D", "3D"] | None = Field(None, description="MR Acquisition Type.")
    asl_context: bool | None = Field(None, description="The header says label, control or M0.")
    echo_time_ms: Range | None = Field(None, description="Longest echo time, ms.")
    echo_field_ms_t: Range | None = Field(
        None,
        description="Longest echo time times field strength, ms T: what susceptibility effects "
        "grow with, so one limit serves 1.5, 3 and 7 T.",
    )
    repetition_time_ms: Range | None = Field(None, description="Repetition time, ms.")
    inversion_time_ms: Range | None = Field(None, description="Inversion time, ms.")
    pixel_mm: Range | None = Field(None, description="Larger in-plane pixel spacing, mm.")
    slices: Range | None = Field(None, description="Slice positions.")
    volumes: Range | None = Field(None, description="Volumes.")
    directions: Range | None = Field(None, description="Different diffusion directions.")
    b_value: Range | None = Field(None, description="Largest b-value, s/mm2.")


class Rule(_Frozen):
    """A role, or a rejection (no role), for groups that meet one of the matches."""

    role: Role | None = Field(None, description="Role given; none rejects the group.")
    because: str = Field(
        description="Reason told to the reader. {echo_ms}, {field_t}, {pixel_mm}, {directions}, "
        "{b_value}, {modality} and {sop_class} are filled in."
    )
    tell: bool = Field(
        False, description="Say the rejection in the report: a reader might count on the series."
    )
    any_of: tuple[Match, ...] = Field(min_length=1, description="At least one match must hold.")

    @model_validator(mode="after")
    def _reason_can_be_filled(self) -> Rule:
        try:
            self.because.format(**dict.fromkeys(REASON_FIELDS, ""))
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f"reason {self.because!r} names an unknown field: {error}") from error
        return self


REASON_FIELDS = (
    "echo_ms", "field_t", "pixel_mm", "component", "directions", "b_value", "modality", "sop_class",
)  # fmt: skip


class LoaderSettings(_Frozen):
    """Settings of the room, section `dicom_loader` of app.yaml."""

    rules: tuple[Rule, ...] = Field(
        description="Tried in order for each group of images; the first that matches decides. "
        "They stand in app.yaml alone. Tokens and names there are those of Siemens, Philips and "
        "GE exports. TE x B0 >= 27 ms T is our own choice: 18 ms at 1.5 T, 9 ms at 3 T, just "
        "under the shortest protocols in use for microbleeds (GRE 1.5 T with TE 20 ms), and above "
        "field maps in all but name; 2 mm pixels likewise.",
    )
    read_spare_volumes: bool = Field(
        True,
        description="Read diffusion-weighted volumes beside the scanner's FA map, and label and "
        "control volumes beside its CBF map. False, as in app.yaml, reads only the b = 0 and M0 "
        "images that carry these maps into registration: no step uses the others.",
    )
    slice_spacing_tolerance_mm: float = Field(
        0.1,
        gt=0,
        description="Largest difference between slice steps, mm. Scanners write positions with 4 "
        "to 6 digits; a true gap or doubling is a whole step.",
    )
    slice_shift_tolerance_mm: float = Field(
        0.2,
        gt=0,
        description="Largest sideways shift of a slice against the first, mm: beyond it slices "
        "are not stacked along their normal and no grid of cuboid voxels fits.",
    )
