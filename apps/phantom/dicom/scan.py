"""The nouns of the scanner: what a series of the simulated study is before it becomes files."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.errors import ConfigurationError
from operators.labels import Code
from operators.types import Sample


class VendorStyle(StrEnum):
    """Whose conventions a study follows.

    SIEMENS: classic objects, one series per magnitude and phase, phase 0..4095 (slope 2).
    PHILIPS: classic objects, magnitude and phase of all echoes in one series, phase in mrad.
    GE: classic objects, ImageType says nothing, (0043,102F) tells phase, opposite sign.
    ENHANCED: enhanced multi-frame objects with the Philips conventions.
    """

    SIEMENS = "siemens"
    PHILIPS = "philips"
    GE = "ge"
    ENHANCED = "enhanced"

    @classmethod
    def of(cls, name: str) -> VendorStyle:
        """The style of that name; ConfigurationError names those there are."""
        names = [each.value for each in cls]
        if name not in names:
            raise ConfigurationError(f"Found style {name!r}, wanted one of {', '.join(names)}.")
        return cls(name)


class Contrast(StrEnum):
    """What kind of series it is: the roles of the pipeline, and what it must refuse."""

    GRE = "gre"
    SWI = "swi"
    MIP = "mip"
    QSM = "qsm"
    T2W = "t2w"
    T1W = "t1w"
    FA = "fa"
    MD = "md"
    DWI = "dwi"
    CBF = "cbf"
    ASL = "asl"
    LOCALIZER = "localizer"
    FIELD_MAP = "field_map"
    B0_MAP = "b0_map"


class Component(StrEnum):
    """Complex component, in the words of ComplexImageComponent (0008,9208)."""

    MAGNITUDE = "MAGNITUDE"
    PHASE = "PHASE"


@dataclass(frozen=True, slots=True)
class StudyOptions:
    """What a study holds beside the subject's own images.

    Attributes
    ----------
    swi : send the scanner's own SWI, made here from the last echo, if the subject has none.
    absolute_cbf : send CBF with its unit (UCUM ml/[100]g/min); otherwise without any.
    decoys : localiser, sliding minimum projection, field map: series to be refused.
    documents : a structured report and, with FA, a colour secondary capture of it.
    """

    swi: bool = False
    absolute_cbf: bool = False
    decoys: bool = True
    documents: bool = True


class Scaling(NamedTuple):
    """Stored value to displayed value: slope, intercept, RescaleType (0028,1054)."""

    slope: float
    intercept: float
    kind: str


@dataclass(frozen=True, slots=True)
class PulseSequence:
    """How a series was acquired; milliseconds, degrees. Terms are DICOM's (0018,002x)."""

    scanning: tuple[str, ...]
    variant: tuple[str, ...]
    acquisition: str
    name: str
    repetition_time_ms: float
    echo_time_ms: float
    flip_angle_deg: float
    echo_train_length: int = 1
    inversion_time_ms: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StoredVolume:
    """One volume as the scanner stores it.

    Attributes
    ----------
    pixels : uint16 or int16 (slice, row, column).
    affine_lps_mm : 4x4, voxel index to patient coordinates.
    scaling : None where the header carries no rescale.
    unit : unit of the displayed value, None where the header does not say.
    gain : displayed value per simulated value (1 where the scanner keeps the scale).
    echo_number : from 1. `temporal_index` from 1, one per b-value or ASL volume.
    """

    pixels: NDArray[np.uint16] | NDArray[np.int16]
    affine_lps_mm: NDArray[np.float64]
    image_type: tuple[str, ...]
    component: Component = Component.MAGNITUDE
    scaling: Scaling | None = None
    unit: Code | None = None
    gain: float = 1.0
    sample: Sample = field(default_factory=Sample)
    echo_number: int = 1
    temporal_index: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One DICOM series: its name, how it was acquired, its volumes.

    `acquired_as` is the number of the series whose acquisition it was computed from; 0: its own.
    """

    number: int
    contrast: Contrast
    description: str
    sequence: PulseSequence
    volumes: tuple[StoredVolume, ...]
    restart_instances: bool = False
    acquired_as: int = 0

    @property
    def is_derived(self) -> bool:
        return self.volumes[0].image_type[0] == "DERIVED"
