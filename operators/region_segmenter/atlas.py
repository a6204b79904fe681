"""The atlas: T1 template, brain mask and label map in MNI space, as volumes in LPS.

Template: ICBM152 2009a nonlinear symmetric, 1 mm, brain only (Fonov et al., NeuroImage
2011;54:313), as nilearn carries it. Copyright (C) 1993-2009 Louis Collins, McConnell Brain Imaging
Centre, Montreal Neurological Institute, McGill University: may be used, copied, modified and
distributed for any purpose with this notice. The label map is the project's own (`make_atlas`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from highdicom import Volume

ATLAS_FILE = Path(__file__).parent / "data" / "atlas.nii.gz"
TEMPLATE_ORIGIN_RAS_MM = (-98.0, -134.0, -72.0)

Field = NDArray[np.float32]


def template_arrays() -> tuple[Field, Field, Field, NDArray[np.bool_]]:
    """T1, grey and white matter (float32, 0 to 1) and brain mask, (197, 233, 189), RAS, 1 mm."""
    from nilearn import datasets

    loaders = (
        datasets.load_mni152_template,
        datasets.load_mni152_gm_template,
        datasets.load_mni152_wm_template,
    )
    t1, grey, white = (load(resolution=1).get_fdata(dtype=np.float32) for load in loaders)
    brain = np.asarray(datasets.load_mni152_brain_mask(resolution=1).dataobj) > 0
    return t1, grey, white, brain


def mni_volume(array: NDArray[Any]) -> Volume:
    """A volume in LPS (slices upwards, rows to posterior, columns to the left) from a RAS array."""
    from highdicom import Volume

    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine[:3, 3] = np.array([-1, -1, 1]) * TEMPLATE_ORIGIN_RAS_MM
    volume = Volume(np.ascontiguousarray(array), affine, coordinate_system="PATIENT")
    return volume.to_patient_orientation("HPL")


def load_template() -> Volume:
    """T1 template, float32 in 0 to 1, brain only, MNI space (LPS millimetres), 1 mm."""
    return mni_volume(template_arrays()[0])


def load_template_brain() -> Volume:
    """Brain mask of the template with its ventricles, bool."""
    return mni_volume(template_arrays()[3])


def load_atlas() -> Volume:
    """Label map of the atlas: uint8 numbers of `labels.STRUCTURES`, 0 outside, MNI space (LPS)."""
    import nibabel as nib

    image = nib.nifti1.Nifti1Image.from_filename(ATLAS_FILE)
    return mni_volume(np.asarray(image.dataobj, dtype=np.uint8))
