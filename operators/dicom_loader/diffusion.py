"""b-values and gradient directions, in LPS patient coordinates, for every vendor's way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from operators.dicom_loader.csa import csa_values
from operators.dicom_loader.elements import PrivateTag, is_made_by, number_of, private

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

Vector = tuple[float, float, float]

_SIEMENS = "SIEMENS MR HEADER"
_SIEMENS_B = PrivateTag(0x0019, _SIEMENS, 0x0C)
_SIEMENS_VECTOR = PrivateTag(0x0019, _SIEMENS, 0x0E)
_SIEMENS_MATRIX = PrivateTag(0x0019, _SIEMENS, 0x27)
_GE_B = PrivateTag(0x0043, "GEMS_PARM_01", 0x39)
_GE_VECTOR = tuple(PrivateTag(0x0019, "GEMS_ACQU_01", element) for element in (0xBB, 0xBC, 0xBD))
_PHILIPS_B = PrivateTag(0x2001, "Philips Imaging DD 001", 0x03)
_PHILIPS_VECTOR = tuple(
    PrivateTag(0x2005, "Philips MR Imaging DD 001", element) for element in (0xB0, 0xB1, 0xB2)
)
PHILIPS_DIFFUSION = (_PHILIPS_B, *_PHILIPS_VECTOR)
# GE adds 1e9 to mark b-values of multi-shell protocols; lower shells are stored as vectors shorter
# than 1 under the largest b (both described in dcm2niix issues 163 and 245).
_GE_FLAG = 1_000_000_000


def classic_diffusion(header: Dataset) -> tuple[float | None, Vector | None]:
    """(b in s/mm2, unit vector in LPS) of a single-frame object; None where not stated.

    A vector of None beside b > 0 is an isotropic (trace) image. Order: standard attributes, then
    Siemens (0019,100C/100E/1027), GE (0043,1039) with (0019,10BB-BD), Philips (2001,1003).
    """
    b_value = number_of(header, "DiffusionBValue")
    vector = _standard_vector(header)
    if b_value is None and is_made_by("SIEMENS", header):
        return _siemens(header)
    if vector is None and is_made_by("GE", header):
        return _ge(header, b_value)
    if b_value is None and is_made_by("PHILIPS", header):
        return _philips(header)
    return b_value, vector if b_value else None


def enhanced_diffusion(item: Dataset | None) -> tuple[float | None, Vector | None]:
    """(b, vector) from one item of the MR Diffusion Sequence.

    Directionality ISOTROPIC and NONE have no vector; without a direction the principal axis of
    the b-matrix is used (its polarity is unknown, which diffusion does not see).
    """
    if item is None:
        return None, None
    b_value = number_of(item, "DiffusionBValue")
    if not b_value or str(item.get("DiffusionDirectionality", "")) in {"ISOTROPIC", "NONE"}:
        return b_value, None
    directions = item.get("DiffusionGradientDirectionSequence") or []
    vector = _standard_vector(directions[0]) if directions else None
    matrices = item.get("DiffusionBMatrixSequence") or []
    if vector is None and matrices:
        keys = ("XX", "XY", "XZ", "YY", "YZ", "ZZ")
        values = [float(matrices[0].get(f"DiffusionBValue{key}", 0.0)) for key in keys]
        vector = _principal_axis(values)
    return b_value, vector


def _standard_vector(item: Dataset) -> Vector | None:
    stated = item.get("DiffusionGradientOrientation")
    return _unit(np.asarray(stated, dtype=float)) if stated is not None else None


def _siemens(header: Dataset) -> tuple[float | None, Vector | None]:
    b_value = _float(private(header, _SIEMENS_B))
    if b_value is None and "DIFFUSION" in (header.get("ImageType") or ()):
        return _siemens_csa(header)
    if not b_value:
        return b_value, None
    stated = private(header, _SIEMENS_VECTOR)
    if stated is not None:
        return b_value, _unit(_array(stated))
    matrix = private(header, _SIEMENS_MATRIX)
    return b_value, None if matrix is None else _principal_axis(_array(matrix).tolist())


def _siemens_csa(header: Dataset) -> tuple[float | None, Vector | None]:
    """The same from the CSA header, for software before the private group had them."""
    stated = csa_values(header, "B_value")
    direction = csa_values(header, "DiffusionGradientDirection")
    if not stated or stated[0] <= 0 or len(direction) != 3:
        return (stated[0] if stated else None), None
    return stated[0], _unit(np.array(direction))


def _ge(header: Dataset, b_value: float | None) -> tuple[float | None, Vector | None]:
    """GE stores the vector along (phase, frequency, slice) axes of the image.

    With u, v, n the row, column and normal directions of the slice in LPS, the direction is
    x u + y v - z n for phase encoding along columns (COL) and y u - x v - z n along rows: the
    convention published with dicm2nii and validated there on axial head-first supine data.
    """
    if b_value is None:
        private_b = _float(private(header, _GE_B))
        if private_b is None:
            return None, None
        b_value = private_b % _GE_FLAG
    parts = [_float(private(header, tag)) for tag in _GE_VECTOR]
    axes = header.get("ImageOrientationPatient")
    if not b_value or axes is None or any(part is None for part in parts):
        return b_value, None
    x, y, z = (float(part) for part in parts if part is not None)
    length = float(np.hypot(np.hypot(x, y), z))
    u, v = np.asarray(axes[:3], dtype=float), np.asarray(axes[3:], dtype=float)
    normal = np.cross(u, v)
    along_rows = str(header.get("InPlanePhaseEncodingDirection", "")).upper() == "ROW"
    first, second = (y, -x) if along_rows else (x, y)
    if 0.03 < length < 0.97:
        b_value = float(5 * round(b_value * length**2 / 5))
    return b_value, _unit(first * u + second * v - z * normal)


def _philips(header: Dataset) -> tuple[float | None, Vector | None]:
    b_value = _float(private(header, _PHILIPS_B))
    parts = [_float(private(header, tag)) for tag in _PHILIPS_VECTOR]
    if not b_value or any(part is None for part in parts):
        return b_value, None
    return b_value, _unit(np.asarray(parts, dtype=float))


def _unit(vector: NDArray[np.float64]) -> Vector | None:
    length = float(np.linalg.norm(vector))
    if vector.shape != (3,) or length < 1e-3:
        return None
    x, y, z = (vector / length).tolist()
    return x, y, z


def _principal_axis(upper: list[float]) -> Vector | None:
    """Eigenvector of the largest eigenvalue of (xx, xy, xz, yy, yz, zz)."""
    if len(upper) != 6:
        return None
    xx, xy, xz, yy, yz, zz = upper
    _, vectors = np.linalg.eigh(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]))
    return _unit(vectors[:, -1])


def _float(value: object | None) -> float | None:
    if value is None:
        return None
    array = _array(value)
    return float(array[0]) if array.size else None


def _array(value: object) -> NDArray[np.float64]:
    """Numbers of a private element, which is bytes (8-byte floats) where its VR was lost."""
    if isinstance(value, bytes):
        try:
            return np.array([float(part) for part in value.decode("ascii").split("\\")])
        except ValueError:
            return np.frombuffer(value[: len(value) // 8 * 8], dtype="<f8")
    numbers: NDArray[np.float64] = np.atleast_1d(np.asarray(value, dtype=float))
    return numbers
