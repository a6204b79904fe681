"""QSM of two real 7 T crops: a picture, and how vessels, tissue and the field fit come out.

    python -m benchmarks.qsm_7t [CROP_FOLDER ...] [--out docs/images/qsm-7t.png]

Crops of ROMEO (github.com/korbinian90/ROMEO.jl) and CLEARSWI (github.com/korbinian90/CLEARSWI.jl):
Mag.nii and Phase.nii of three echoes, 0.47 x 0.47 x 1 mm. No true susceptibility is known here.
Veins are the darkest hundredth of the SWI, chosen without looking at the QSM; `veins` is their
median susceptibility less that of all else, ppm. `misfit` is the root mean square of the phase that
the fitted field leaves in the three echoes, radians, weighted by squared magnitude. Nothing in
these crops is labelled, and they hold too little to tell nuclei or CSF apart.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.quantitative_maps.field import field_map, ppm_per_rad_ms, wrap
from operators.quantitative_maps.geometry import spacing_mm
from operators.quantitative_maps.qsm import susceptibility
from operators.quantitative_maps.settings import QsmSettings
from operators.quantitative_maps.swi import susceptibility_weighted

if TYPE_CHECKING:
    from highdicom import Volume

DATA = Path("../shared/data")
CROPS = ("romeo_7t_crop", "clearswi_7t_crop")
ECHOES_MS = (4.0, 8.0, 12.0)
FIELD_T = 7.0


def read_crop(folder: Path) -> tuple[list[Volume], list[Volume]]:
    """Magnitudes and phases in LPS; the phase is stored as +-0.00367 and means +-pi."""
    import nibabel
    from highdicom import Volume

    images = []
    for name in ("Mag.nii", "Phase.nii"):
        image = nibabel.Nifti1Image.from_filename(folder / "test/data/small" / name)
        lps = np.diag([-1.0, -1, 1, 1]) @ image.affine
        affine = np.concatenate([lps[:, [2, 1, 0]], lps[:, 3:]], axis=1)
        array = np.asarray(image.dataobj, np.float32).transpose(3, 2, 1, 0)
        if name == "Phase.nii":
            array = array * np.float32(np.pi / np.abs(array).max())
        images.append([
            Volume(np.ascontiguousarray(echo), affine, coordinate_system="PATIENT")
            for echo in array
        ])
    return images[0], images[1]


def maps(magnitudes: list[Volume], phases: list[Volume]) -> tuple[NDArray, NDArray]:
    """SWI of the last echo and QSM of all, the whole crop taken for brain."""
    whole = magnitudes[0].with_array(np.ones(magnitudes[0].array.shape, bool))
    chi = susceptibility(
        magnitudes, phases, ECHOES_MS, field_strength_t=FIELD_T, mask=whole,
        settings=QsmSettings(),
    )
    return susceptibility_weighted(magnitudes[-1], phases[-1]).array, chi.array


def misfit_rad(magnitudes: list[Volume], phases: list[Volume]) -> float:
    """Root mean square of phase - (offset + rate TE), offset the best of each voxel."""
    amplitude = [volume.array for volume in magnitudes]
    angle = [volume.array for volume in phases]
    mask = np.ones(angle[0].shape, bool)
    field = field_map(
        amplitude, angle, mask, echo_times_ms=ECHOES_MS, field_strength_t=FIELD_T,
        spacing=spacing_mm(phases[0]),
    ).field_ppm / ppm_per_rad_ms(FIELD_T)
    weight = np.square(amplitude)
    signal = [
        m * m * np.exp(1j * (p - field * t))
        for m, p, t in zip(amplitude, angle, ECHOES_MS, strict=True)
    ]
    offset = np.angle(np.sum(signal, axis=0))
    rest = [wrap(p - offset - field * t) for p, t in zip(angle, ECHOES_MS, strict=True)]
    return float(np.sqrt((weight * np.square(rest)).sum() / weight.sum()))


def vein_contrast_ppm(swi: NDArray, chi: NDArray) -> float:
    """Median of the darkest hundredth of SWI less the median of the rest, where QSM reaches."""
    reached = chi != 0
    veins = reached & (swi <= np.quantile(swi[reached], 0.01))
    return float(np.median(chi[veins]) - np.median(chi[reached & ~veins]))


def draw(rows: Sequence[tuple[NDArray, ...]], path: Path) -> None:
    """One row a crop, at two thirds of its slices: magnitude, phase, SWI, QSM."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    titles = ("magnitude, 12 ms", "phase, 12 ms", "SWI", "QSM, -0.1 to 0.1 ppm")
    limits = ((None, None), (-np.pi, np.pi), (None, None), (-0.1, 0.1))
    figure = Figure(figsize=(12, 3.2 * len(rows)))
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), 4, squeeze=False)
    for row, images in zip(axes, rows, strict=True):
        plane = 2 * images[3].shape[0] // 3
        for axis, image, title, (low, high) in zip(row, images, titles, limits, strict=True):
            axis.imshow(image[plane, 4:-4, 4:-4], cmap="gray", vmin=low, vmax=high, aspect=1)
            axis.set_title(title, fontsize=9)
            axis.axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/images/qsm-7t.png"))
    options = parser.parse_args()
    rows = []
    for folder in options.folders or [DATA / name for name in CROPS]:
        magnitudes, phases = read_crop(folder)
        swi, chi = maps(magnitudes, phases)
        rows.append((magnitudes[-1].array, phases[-1].array, swi, chi))
        print(f"{folder.name}: veins {vein_contrast_ppm(swi, chi):+.3f} ppm, "
              f"misfit {misfit_rad(magnitudes, phases):.3f} rad")
    draw(rows, options.out)


if __name__ == "__main__":
    main()
