"""The binary header that Siemens scanners before XA put into their objects."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from operators.dicom_loader.elements import PrivateTag, private

if TYPE_CHECKING:
    from pydicom import Dataset

_CSA_IMAGE = PrivateTag(0x0029, "SIEMENS CSA HEADER", 0x10)


def csa_values(header: Dataset, name: str) -> list[float]:
    """Numbers of one element of the CSA image header; empty where absent or damaged."""
    blob = private(header, _CSA_IMAGE)
    if not isinstance(blob, bytes):
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nibabel announces its reader as experimental
        from nibabel.nicom.csareader import CSAReadError, read
    try:
        tags = read(blob)["tags"]  # type: ignore[no-untyped-call]
        return [float(item) for item in tags.get(name, {}).get("items", []) if item is not None]
    except (CSAReadError, ValueError, IndexError, KeyError):
        return []
