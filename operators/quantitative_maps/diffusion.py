"""Fractional anisotropy and mean diffusivity from raw diffusion-weighted volumes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.brain_mask import brain_mask
from operators.errors import StepFailed
from operators.types import Role, Sample

if TYPE_CHECKING:
    from highdicom import Volume

_B0_BELOW_S_MM2 = 50.0
"""b-values up to this count as b0: dipy's default."""
_FEWEST_DIRECTIONS = 6


def tensor_maps(
    volumes: Sequence[Volume], samples: Sequence[Sample], *, threads: int = 1
) -> tuple[Volume, Volume]:
    """(FA, MD) of a weighted least squares tensor fit (dipy), one grid, float32.

    FA is a ratio in [0, 1], MD is in mm2/s; both 0 where the mean b0 shows neither brain nor
    other tissue, drawn generously. Volumes without a b-value, or weighted without a direction
    (trace images), are left out. Voxels are fitted by themselves, `threads` parts at a time.
    Raises StepFailed without a b0 or with fewer than six directions.
    """
    from dipy.core.gradients import gradient_table
    from dipy.reconst.dti import TensorModel

    pairs = [(v, s) for v, s in zip(volumes, samples, strict=True) if _usable(s)]
    b_values, b_vectors = _gradients([sample for _, sample in pairs])
    _check(b_values, b_vectors)
    signal = np.stack([volume.array for volume, _ in pairs], axis=-1)
    b0 = signal[..., b_values <= _B0_BELOW_S_MM2].mean(axis=-1)
    mask = head_mask(b0) | brain_mask(volumes[0].with_array(b0), role=Role.DWI).array
    table = gradient_table(b_values, bvecs=b_vectors, b0_threshold=_B0_BELOW_S_MM2)
    model = TensorModel(table, fit_method="WLS")  # type: ignore[no-untyped-call]
    parts = min(threads, int(mask.sum()))
    with ThreadPoolExecutor(parts) as pool:
        fits = list(pool.map(model.fit, np.array_split(signal[mask], parts)))
    fa, md = (np.concatenate([getattr(fit, name) for fit in fits]) for name in ("fa", "md"))
    return _on_grid(volumes[0], mask, fa), _on_grid(volumes[0], mask, md)


def _usable(sample: Sample) -> bool:
    if sample.b_value_s_mm2 is None:
        return False
    return sample.b_value_s_mm2 <= _B0_BELOW_S_MM2 or sample.b_vector_lps is not None


def _gradients(samples: Sequence[Sample]) -> tuple[NDArray, NDArray]:
    """b-values (n,) and unit directions (n, 3), zero for b0."""
    b_values = np.array([sample.b_value_s_mm2 or 0.0 for sample in samples])
    vectors = np.array([sample.b_vector_lps or (0.0, 0.0, 0.0) for sample in samples])
    vectors = vectors.reshape(-1, 3)
    vectors[b_values <= _B0_BELOW_S_MM2] = 0
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return b_values, vectors / np.where(norms > 0, norms, 1)


def _check(b_values: NDArray, b_vectors: NDArray) -> None:
    weighted = b_values > _B0_BELOW_S_MM2
    if weighted.all():
        raise StepFailed(
            f"The diffusion series has {len(b_values)} weighted volumes and no b0. Send the b0 "
            "volume (b up to 50 s/mm2) too."
        )
    x, y, z = b_vectors[weighted].T
    design = np.stack([x * x, y * y, z * z, x * y, x * z, y * z], axis=1)
    rank = int(np.linalg.matrix_rank(design, tol=1e-2)) if len(design) else 0
    if rank < _FEWEST_DIRECTIONS:
        raise StepFailed(
            f"The diffusion series has {int(weighted.sum())} weighted volumes that fix {rank} of "
            f"the {_FEWEST_DIRECTIONS} parts of a tensor. Send six or more directions."
        )


def head_mask(image: NDArray) -> NDArray[np.bool_]:
    """Voxels to fit, bool: dipy's median_otsu (radius 2, one pass), 2 voxels wider, filled.

    Raises StepFailed when nothing is left.
    """
    from dipy.segment.mask import median_otsu

    _, mask = median_otsu(
        image.astype(np.float32), median_radius=2, numpass=1, dilate=2, finalize_mask=True
    )
    if not mask.any():
        raise StepFailed("No head was found in the image. Check that it is not empty.")
    return np.asarray(mask, bool)


def _on_grid(grid: Volume, mask: NDArray[np.bool_], values: NDArray) -> Volume:
    out = np.zeros(mask.shape, np.float32)
    out[mask] = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    return grid.with_array(out)
