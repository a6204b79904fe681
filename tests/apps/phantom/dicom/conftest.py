"""A tiny oblique subject with every contrast, and one written study per vendor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from highdicom import Volume
from pydicom import Dataset, dcmread
from scipy.spatial.transform import Rotation

from apps.phantom.dicom import StudyOptions, VendorStyle, write_study
from apps.phantom.types import Image, Planted, PlantedLesion, Protocol, Subject, Truth
from operators.types import AslKind, Role, Sample, Unit

SHAPE = (9, 48, 40)
ECHOES_MS = (7.0, 14.0, 21.0)
_AXIAL = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], dtype=np.float64)


def oblique(array, *, spacing_mm, tilt_deg, centre) -> Volume:
    """A volume whose middle is at `centre`, tilted about x, y, z."""
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", tilt_deg, degrees=True).as_matrix()
    affine[:3, :3] = (turn @ _AXIAL) * np.array(spacing_mm)
    affine[:3, 3] = np.array(centre) - affine[:3, :3] @ ((np.array(array.shape) - 1) / 2)
    return Volume(array, affine, coordinate_system="PATIENT")


def _gre(array) -> Volume:
    return oblique(array, spacing_mm=(2, 1, 1.1), tilt_deg=(8, -4, 3), centre=(3, -5, 7))


def _other(array) -> Volume:
    return oblique(
        array.astype(np.float32), spacing_mm=(2.5, 1, 1), tilt_deg=(6, -3, 1), centre=(1, -5, 9)
    )


def build_subject(*, cbf_unit: Unit = Unit.ABSOLUTE_CBF) -> Subject:
    """Nine slices of everything; smooth values, phase that wraps at the last echo."""
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, size) for size in SHAPE], indexing="ij")
    head = x**2 + y**2 + 0.5 * z**2 < 0.8
    rate = 0.15 * x + 0.12 * y + 0.1 * z * y
    magnitudes = [head * np.exp(-te / 40) * (500 + 100 * x) for te in ECHOES_MS]
    phases = [np.angle(np.exp(1j * te * rate)) for te in ECHOES_MS]
    echoes = tuple(Sample(echo_time_ms=te) for te in ECHOES_MS)
    directions = (
        (1.0, 0.0, 0.0), (0.0, 0.6, 0.8), (0.0, -0.8, 0.6),
        (0.6, 0.8, 0.0), (0.8, 0.0, -0.6), (0.6, 0.0, 0.8),
    )
    b_values = (
        Sample(b_value_s_mm2=0.0),
        *(Sample(b_value_s_mm2=1000.0, b_vector_lps=direction) for direction in directions),
    )
    labels = (Sample(asl=AslKind.M0), Sample(asl=AslKind.LABEL), Sample(asl=AslKind.CONTROL))
    one = (Sample(),)
    images = [
        Image(Role.MAGNITUDE, tuple(_gre(m.astype(np.float32)) for m in magnitudes), echoes,
              Unit.ARBITRARY),
        Image(Role.PHASE, tuple(_gre(p.astype(np.float32)) for p in phases), echoes, Unit.RADIAN),
        Image(Role.T1W, (_other(head * (800 + 200 * y + 100 * z)),), one, Unit.ARBITRARY),
        Image(Role.T2W, (_other(head * (300 + 200 * y)),), one, Unit.ARBITRARY),
        Image(Role.FA, (_other(head * (0.4 + 0.3 * x + 0.1 * z)),), one, Unit.RATIO),
        Image(Role.DWI, tuple(_other(head * (400 - 30 * k + 50 * y)) for k in range(7)), b_values,
              Unit.ARBITRARY),
        Image(Role.CBF, (_other(head * (50 + 20 * x + 5 * z)),), one, cbf_unit),
        Image(Role.ASL, tuple(_other(head * level) for level in (1000, 500, 510)), labels,
              Unit.ARBITRARY),
    ]
    truth = _truth(head, x)
    return Subject(5, "ellipsoid", Protocol(), {image.role: image for image in images}, truth)


def _truth(head, x) -> Truth:
    labels = np.zeros(SHAPE, np.uint16)
    labels[6, 24, 20:22] = 1
    planted = PlantedLesion(1, Planted.MICROBLEED, (3.0, -5.0, 8.0), 4.0, 0.4, 3)
    regions = np.where(x > 0, 3, 4).astype(np.uint8) * head.astype(np.uint8)
    return Truth(
        _gre(labels), (planted,), _gre((0.1 * x * head).astype(np.float32)), _gre(head),
        _gre(regions),
    )


@pytest.fixture(scope="session")
def subject() -> Subject:
    return build_subject()


@pytest.fixture(scope="session")
def studies(subject, tmp_path_factory) -> dict[VendorStyle, Path]:
    """One folder per vendor, seed 3, with the scanner's own SWI; CBF relative."""
    folders = {}
    for style in VendorStyle:
        folders[style] = tmp_path_factory.mktemp(style.value)
        write_study(
            subject, folders[style], style=style, seed=3, options=StudyOptions(swi=True)
        )
    return folders


@pytest.fixture(scope="session")
def series(studies) -> Callable[[VendorStyle], dict[str, list[Dataset]]]:
    """Datasets of a study by SeriesDescription, in order of InstanceNumber."""
    cache: dict[VendorStyle, dict[str, list[Dataset]]] = {}

    def read(style: VendorStyle) -> dict[str, list[Dataset]]:
        if style not in cache:
            found = defaultdict(list)
            for path in sorted(p for p in studies[style].rglob("*") if p.is_file()):
                dataset = dcmread(path)
                found[str(dataset.SeriesDescription)].append(dataset)
            cache[style] = {
                name: sorted(group, key=lambda d: (str(d.SeriesInstanceUID), d.InstanceNumber))
                for name, group in found.items()
            }
        return cache[style]

    return read
