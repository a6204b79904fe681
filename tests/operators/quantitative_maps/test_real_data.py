"""Real scanner data beside the repository: 7 T gradient echoes, and a scanner's own FA map."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from highdicom import Volume

from apps.map.settings import load_settings
from operators.brain_mask import brain_mask
from operators.dicom_loader.load import load_study
from operators.quantitative_maps.diffusion import tensor_maps
from operators.quantitative_maps.qsm import susceptibility
from operators.quantitative_maps.settings import QsmSettings
from operators.quantitative_maps.swi import susceptibility_weighted
from operators.types import Role

from .conftest import volume

LOADER = load_settings().dicom_loader.model_copy(update={"read_spare_volumes": True})

DATA = Path(__file__).resolve().parents[3] / "../shared/data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")

SEVEN_T_ECHOES_MS = (4.0, 8.0, 12.0)


def echoes(folder: str) -> tuple[list[Volume], list[Volume]]:
    """Magnitudes and phases; the phase is stored as +-0.00367 and means +-pi."""
    images = []
    for name in ("Mag.nii", "Phase.nii"):
        image = nibabel.load(DATA / folder / "test/data/small" / name)
        lps = np.diag([-1.0, -1, 1, 1]) @ image.affine
        affine = np.concatenate([lps[:, [2, 1, 0]], lps[:, 3:]], axis=1)
        array = np.asarray(image.dataobj, np.float32).transpose(3, 2, 1, 0)
        if name == "Phase.nii":
            array = array * np.float32(np.pi / np.abs(array).max())
        images.append([volume(np.ascontiguousarray(echo), affine) for echo in array])
    return images[0], images[1]


@pytest.mark.parametrize("folder", ["romeo_7t_crop", "clearswi_7t_crop"])
def test_veins_at_7_t_are_paramagnetic_and_dark_on_swi(folder: str) -> None:
    magnitudes, phases = echoes(folder)
    whole = magnitudes[0].with_array(np.ones(magnitudes[0].array.shape, bool))
    chi = susceptibility(
        magnitudes, phases, SEVEN_T_ECHOES_MS, field_strength_t=7.0, mask=whole,
        settings=QsmSettings(),
    ).array
    reached = chi != 0
    veins = reached & (chi > np.quantile(chi[reached], 0.99))
    assert 0.04 < np.median(chi[veins]) < 0.4
    assert np.abs(np.percentile(chi[reached], [5, 95])).max() < 0.05
    decay = magnitudes[-1].array / magnitudes[0].array
    assert np.median(decay[veins]) < 0.95 * np.median(decay[reached])
    swi = susceptibility_weighted(magnitudes[-1], phases[-1]).array
    assert swi[veins].mean() < 0.75 * swi[reached].mean()


def test_fa_agrees_with_the_scanners_own_map(tmp_path: Path) -> None:
    for name in ("17_DWI_dir80_AP", "21_DWI_dir80_AP"):
        shutil.copytree(DATA / "siemens_xa30_enhanced/In" / name, tmp_path / name)
    study = load_study(tmp_path, settings=LOADER)
    raw, scanner = study.series[Role.DWI], study.series[Role.FA].volumes[0]
    fa, md = tensor_maps(raw.volumes, raw.samples)
    assert fa.geometry_equal(scanner, tol=1e-3)
    brain = brain_mask(raw.volumes[0], role=Role.DWI).array & (scanner.array > 0)
    assert np.corrcoef(fa.array[brain], scanner.array[brain])[0, 1] >= 0.95
    assert 0.5e-3 < np.median(md.array[brain]) < 1.2e-3
