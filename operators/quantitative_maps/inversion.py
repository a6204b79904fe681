"""Susceptibility from the local field: the dipole convolution undone, two ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from operators.quantitative_maps.background import Sphere, known
from operators.quantitative_maps.geometry import Vector, frequencies

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Terms = list[tuple[Array, Array]]

_LEAST_DIAGONAL = np.float32(1e-4)
"""Keeps the preconditioner finite far from any signal; the diagonal of a trusted voxel is 0.1."""
_OUTER_SHRINKAGE = np.float32(1e-7)
"""Of sources outside, own choice: small against the 1e-3 of the brain, bone and air are strong."""
_SMALL_PPM = np.float32(0.05)
"""Own choice: the contrast of grey and white matter."""


def dipole_kernel(shape: tuple[int, int, int], spacing: Vector, b0: Vector) -> Array:
    """Field of a unit point source in k-space (real FFT layout): 1/3 - (k.b)^2 / k^2, 0 at 0.

    Salomir et al., Concepts Magn Reson B 2003;19:26; Marques and Bowtell, ibid. 2005;25:65.
    """
    k = frequencies(shape, spacing)
    square = k[0] ** 2 + k[1] ** 2 + k[2] ** 2
    along = k[0] * np.float32(b0[0]) + k[1] * np.float32(b0[1]) + k[2] * np.float32(b0[2])
    square[0, 0, 0] = 1
    kernel = np.float32(1 / 3) - along**2 / square
    kernel[0, 0, 0] = 0
    return np.asarray(kernel)


def thresholded_division(field: Array, mask: Mask, kernel: Array, *, threshold: float) -> Array:
    """Closed form: field over kernel, the kernel kept at least `threshold` from zero (TKD).

    Shmueli et al., MRM 2009;62:1510; the loss of contrast that the threshold brings is undone by
    the mean of kernel over kept kernel (Schweser et al., MRM 2013;69:1582). 0 outside `mask`.
    """
    from scipy.fft import irfftn, rfftn

    sign = np.where(kernel < 0, np.float32(-1), np.float32(1))
    kept = sign * np.maximum(np.abs(kernel), np.float32(threshold))
    loss = float(np.mean(kernel / kept))
    chi = irfftn(rfftn(field, workers=-1) / kept, s=field.shape, workers=-1) / loss
    return np.where(mask, chi, 0).astype(np.float32)


def regularised_inversion(
    field: Array,
    weight: Array,
    magnitude: Array,
    parts: Sequence[Sphere],
    kernel: Array,
    *,
    smoothness: float,
    shrinkage: float,
    edge_fraction: float,
    iterations: int,
    start: Array,
    outer_sources: bool = False,
) -> Array:
    """Weighted least squares on the field minus its spherical means, background and all.

    Minimises, over chi that is 0 where no sphere fits unless `outer_sources`,
    |W S (D chi - field)|^2 + smoothness |M grad chi| + shrinkage |chi|,
    with D the dipole kernel and S the spherical mean taken away as in V-SHARP, not undone (single
    step: Chatnuntawech et al., NMR Biomed 2017;30:e3570). W trusts the field where the signal is
    strong; M is 0 at the steepest `edge_fraction` of the magnitude, where susceptibility may jump
    (Liu et al., NeuroImage 2012;59:2560). Both absolute values are squares up to about 0.05 ppm
    and are solved as squares reweighted twice, from `start` and half way, by conjugate gradients.
    Half way too, voxels that no susceptibility explains lose weight (MERIT: Liu et al., MRM
    2013;69:467).

    With `outer_sources`, chi outside is free too, neither smoothed nor reported: the background is
    the field of sources there, found together with those inside (total field inversion: Liu et
    al., MRM 2017;78:303). With `whole` as its one part, S is then 1 up to the edge of the mask.
    """
    inside = known(parts)
    support = np.ones_like(inside) if outer_sources else inside
    even = _even_faces(magnitude, inside, edge_fraction)
    trust = np.square(np.minimum(weight, 1))
    chi = start * inside
    outside = np.where(inside, np.float32(0), _OUTER_SHRINKAGE)
    for _ in range(2):
        terms = [(part.response * kernel, part.where * trust) for part in parts]
        shrink = np.float32(shrinkage) * _gentle(chi) * inside + outside
        faces = [
            np.float32(smoothness) * face * _gentle(np.diff(chi, axis=axis))
            for axis, face in enumerate(even)
        ]

        def normal(
            x: Array, terms: Terms = terms, shrink: Array = shrink, faces: list[Array] = faces
        ) -> Array:
            return np.asarray((_normal(x, terms) + _roughness(x, faces) + shrink * x) * support)

        data = [(part.response, part.where * trust) for part in parts]
        right = _projected(field, data, kernel) * support
        diagonal = _dipole_diagonal(inside * trust, kernel) + shrink + _of_faces(faces, chi.shape)
        chi = _conjugate_gradients(normal, right, chi, diagonal, iterations // 2)
        trust = trust * _explained(field, chi, parts, kernel, inside)
    return chi * inside


def _normal(chi: Array, terms: Terms) -> Array:
    """Sum over terms of F' W F chi: each F a multiplication in k-space."""
    from scipy.fft import irfftn, rfftn

    spectrum = rfftn(chi, workers=-1)
    total = np.zeros_like(spectrum)
    for response, trust in terms:
        seen = trust * irfftn(response * spectrum, s=chi.shape, workers=-1)
        total += response * rfftn(seen, workers=-1)
    return np.asarray(irfftn(total, s=chi.shape, workers=-1))


def _dipole_diagonal(trust: Array, kernel: Array) -> Array:
    """Diagonal of D W^2 D: the weight around each voxel by the squared field of a source there."""
    from scipy.fft import irfftn, rfftn

    dipole = irfftn(kernel, s=trust.shape, workers=-1)
    around = rfftn(np.square(dipole), workers=-1) * rfftn(trust, workers=-1)
    found = irfftn(around, s=trust.shape, workers=-1)
    return np.asarray(np.maximum(found, _LEAST_DIAGONAL))


def _of_faces(faces: list[Array], shape: tuple[int, ...]) -> Array:
    """Sum of the weights of each voxel's six faces: the diagonal of `_roughness`."""
    out = np.zeros(shape, np.float32)
    for axis, face in enumerate(faces):
        out[(slice(None),) * axis + (slice(None, -1),)] += face
        out[(slice(None),) * axis + (slice(1, None),)] += face
    return out


def _projected(field: Array, terms: Terms, kernel: Array) -> Array:
    """Right-hand side: the field through the spheres, weighted, and back through the kernel."""
    from scipy.fft import irfftn, rfftn

    spectrum = rfftn(_normal(field, terms), workers=-1)
    return np.asarray(irfftn(kernel * spectrum, s=field.shape, workers=-1))


def _explained(
    field: Array, chi: Array, parts: Sequence[Sphere], kernel: Array, inside: Mask
) -> Array:
    """1 where the misfit is within 4 of its robust standard deviations, less beyond."""
    from scipy.fft import irfftn, rfftn

    spectrum = kernel * rfftn(chi, workers=-1) - rfftn(field, workers=-1)
    misfit = np.zeros_like(field)
    for part in parts:
        high = irfftn(part.response * spectrum, s=field.shape, workers=-1)
        misfit[part.where] = np.abs(high[part.where])
    scale = 4 * 1.4826 * np.median(misfit[inside])
    return np.asarray(np.square(scale / np.maximum(misfit, scale)), np.float32)


def _gentle(values: Array) -> Array:
    """Weight that makes a square grow like an absolute value beyond 0.05 ppm."""
    return np.asarray(1 / np.sqrt(1 + np.square(values / _SMALL_PPM)), np.float32)


def _even_faces(magnitude: Array, mask: Mask, edge_fraction: float) -> list[Array]:
    """Per axis, 1 between voxels of like magnitude inside the mask, 0 across an edge."""
    steps = [np.abs(np.diff(magnitude, axis=axis)) for axis in range(3)]
    inside = [_both(mask, axis) for axis in range(3)]
    values = np.concatenate([step[face] for step, face in zip(steps, inside, strict=True)])
    limit = np.quantile(values, 1 - edge_fraction) if values.size else 0.0
    return [
        (face & (step <= limit)).astype(np.float32)
        for step, face in zip(steps, inside, strict=True)
    ]


def _both(mask: Mask, axis: int) -> Mask:
    """True on the face between two voxels of the mask."""
    return np.asarray(np.delete(mask, 0, axis) & np.delete(mask, -1, axis))


def _roughness(chi: Array, faces: list[Array]) -> Array:
    """Transposed gradient of the weighted gradient of chi."""
    out = np.zeros_like(chi)
    for axis, face in enumerate(faces):
        flow = np.diff(chi, axis=axis) * face
        lower = (slice(None),) * axis + (slice(None, -1),)
        upper = (slice(None),) * axis + (slice(1, None),)
        out[lower] -= flow
        out[upper] += flow
    return out


def _conjugate_gradients(
    normal: Callable[[Array], Array], right: Array, start: Array, diagonal: Array, iterations: int
) -> Array:
    """Solution of normal(x) = right from `start`; stops where nothing is left to explain.

    Preconditioned by the diagonal of `normal` (Jacobi; Golub and Van Loan, Matrix Computations,
    11.5): where the signal is weak, in bleeds, it is small, and without it they converge last.
    """
    x = start.copy()
    residual = right - normal(x)
    direction = residual / diagonal
    energy = first = float(np.vdot(residual, direction))
    for _ in range(iterations):
        if energy <= 1e-6 * first:
            break
        image = normal(direction)
        step = np.float32(energy / float(np.vdot(direction, image)))
        x += step * direction
        residual -= step * image
        scaled = residual / diagonal
        new = float(np.vdot(residual, scaled))
        direction = scaled + np.float32(new / energy) * direction
        energy = new
    return x
