from __future__ import annotations

import numpy as np
import pytest

from apps.phantom.tissue import Tissue, at_field, iron_mg_per_100g


def test_every_tissue_has_properties() -> None:
    table = at_field(3.0, age_years=60)
    assert all(len(column) == len(Tissue) for column in table)
    assert (table.r2star >= table.r2 - 1e-4).all()


def test_iron_follows_hallgren_and_sourander() -> None:
    at_thirty = {Tissue.CAUDATE: 7.835, Tissue.PUTAMEN: 10.677, Tissue.PALLIDUM: 20.341}
    for tissue, iron in at_thirty.items():
        assert iron_mg_per_100g(tissue, 30) == pytest.approx(iron, abs=0.002)
    assert iron_mg_per_100g(Tissue.PUTAMEN, 80) > iron_mg_per_100g(Tissue.PUTAMEN, 30) + 3
    assert iron_mg_per_100g(Tissue.CSF, 80) == 0


def test_deep_nuclei_rank_in_susceptibility_as_in_vivo() -> None:
    chi = at_field(3.0, age_years=65).chi_ppm
    ranked = [Tissue.PALLIDUM, Tissue.PUTAMEN, Tissue.CAUDATE, Tissue.THALAMUS]
    assert sorted(ranked, key=lambda t: -chi[t]) == ranked
    assert 0.12 < chi[Tissue.PALLIDUM] < 0.18
    assert chi[Tissue.WHITE] < 0


def test_pallidal_r2star_at_three_tesla_is_what_scanners_measure() -> None:
    r2star = at_field(3.0, age_years=65).r2star
    assert 35 < r2star[Tissue.PALLIDUM] < 46
    assert 19 < r2star[Tissue.WHITE] < 23


def test_field_strength_lengthens_t1_and_shortens_t2star() -> None:
    low, high = at_field(1.5, age_years=60), at_field(7.0, age_years=60)
    assert (low.r1 > high.r1).all()
    assert high.r2star[Tissue.PALLIDUM] > 2 * low.r2star[Tissue.PALLIDUM]
    assert 1 / high.r1[Tissue.WHITE] == pytest.approx(1.15, abs=0.1)
    assert np.array_equal(low.r2, high.r2)
