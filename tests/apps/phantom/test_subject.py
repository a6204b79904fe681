from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from apps.phantom.anatomy import Anatomy
from apps.phantom.lesions import Burden, draw
from apps.phantom.subject import simulate
from apps.phantom.types import Planted, Protocol, Subject
from operators.types import Role, Unit


def _array(subject: Subject, role: Role, volume: int = 0) -> np.ndarray:
    return subject.images[role].volumes[volume].array


def test_the_same_seed_gives_the_same_arrays_and_another_seed_others(
    ball: Anatomy, protocol: Protocol, empty: Subject
) -> None:
    again, other = (
        simulate(seed, anatomy=ball, protocol=protocol, burden=Burden.none(), scanner_swi=True)
        for seed in (3, 4))
    for role in empty.images:
        assert np.array_equal(_array(again, role), _array(empty, role))
        assert not np.array_equal(_array(other, role), _array(empty, role))
    assert np.array_equal(again.truth.regions.array, empty.truth.regions.array)


def test_nothing_planted_is_nothing_labelled(empty: Subject) -> None:
    assert empty.truth.planted == ()
    assert not empty.truth.lesions.array.any()


def test_another_burden_changes_the_signal_only_near_what_is_planted(
    empty: Subject, loaded: Subject
) -> None:
    grid = loaded.truth.lesions
    index = np.stack(np.indices(grid.spatial_shape), axis=-1)
    points = index @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    far = np.ones(grid.spatial_shape, bool)
    for lesion in loaded.truth.planted:
        far &= np.linalg.norm(points - lesion.centre_lps_mm, axis=-1) > 25
    brain = loaded.truth.brain.array
    change = np.abs(_array(loaded, Role.MAGNITUDE, 2) - _array(empty, Role.MAGNITUDE, 2))
    typical = np.median(_array(empty, Role.MAGNITUDE, 2)[brain])
    assert (far & brain).sum() > 1000
    assert np.percentile(change[far & brain], 99) < 0.02 * typical
    labelled = loaded.truth.lesions.array > 0
    assert np.median(change[labelled & brain]) > 0.10 * typical


def test_every_label_has_its_object_at_its_place(loaded: Subject) -> None:
    labels = loaded.truth.lesions
    numbers = set(np.unique(labels.array)) - {0}
    assert numbers == {lesion.index for lesion in loaded.truth.planted}
    for lesion in loaded.truth.planted:
        cells = np.argwhere(labels.array == lesion.index).mean(axis=0)
        centre = labels.affine[:3, :3] @ cells + labels.affine[:3, 3]
        assert np.linalg.norm(centre - lesion.centre_lps_mm) < 3.5


def test_bleeds_are_paramagnetic_and_calcium_diamagnetic_in_truth(loaded: Subject) -> None:
    chi, labels = loaded.truth.susceptibility_ppm.array, loaded.truth.lesions.array
    kinds = {lesion.kind for lesion in loaded.truth.planted}
    assert {Planted.MICROBLEED, Planted.CALCIFICATION, Planted.IRON_DEPOSIT} <= kinds
    for lesion in loaded.truth.planted:
        inside = chi[labels == lesion.index]
        if lesion.kind is Planted.MICROBLEED:
            assert inside.max() > 0.15
        if lesion.kind is Planted.CALCIFICATION:
            assert inside.min() < -0.15


def test_iron_lies_in_the_lentiform_nucleus_and_is_fainter_than_bleeds(loaded: Subject) -> None:
    regions, labels = loaded.truth.regions.array, loaded.truth.lesions.array
    darkness = {Planted.IRON_DEPOSIT: [], Planted.MICROBLEED: []}
    late = _array(loaded, Role.MAGNITUDE, 2)
    typical = np.median(late[loaded.truth.brain.array])
    for lesion in loaded.truth.planted:
        here = labels == lesion.index
        if lesion.kind is Planted.IRON_DEPOSIT:
            assert np.isin(regions[here], (5, 6)).mean() > 0.7
        if lesion.kind in darkness:
            darkness[lesion.kind].append(np.percentile(late[here], 10) / typical)
    assert np.mean(darkness[Planted.IRON_DEPOSIT]) > 1.2 * np.mean(darkness[Planted.MICROBLEED])


def test_a_bleed_looks_larger_at_a_longer_echo_time(ball: Anatomy, protocol: Protocol) -> None:
    burden = Burden(microbleeds=5, iron_deposits=0, calcifications=0, veins=0, flow_voids=0)
    sizes = []
    for te in (7.0, 28.0):
        settings = replace(protocol, echo_times_ms=(te,), repetition_time_ms=40.0)
        subject = simulate(8, anatomy=ball, protocol=settings, burden=burden)
        sizes.append(int((subject.truth.lesions.array > 0).sum()))
    assert sizes[1] > 1.3 * sizes[0] > 0


def test_a_bleed_has_positive_phase_at_its_poles(empty: Subject, loaded: Subject) -> None:
    signal = [
        _array(s, Role.MAGNITUDE, 0) * np.exp(1j * _array(s, Role.PHASE, 0))
        for s in (empty, loaded)
    ]
    turned = np.angle(signal[1] * signal[0].conj())
    grid = loaded.truth.lesions
    inverse = np.linalg.inv(grid.affine)
    signs = []
    for lesion in loaded.truth.planted:
        if lesion.kind in (Planted.MICROBLEED, Planted.CALCIFICATION) and lesion.diameter_mm > 3:
            away = lesion.diameter_mm / 2 + 1.0
            for step in (away, -away):
                x, y, z = lesion.centre_lps_mm
                cell = tuple((inverse @ (x, y, z + step, 1))[:3].round().astype(int))
                signs.append(turned[cell] * np.sign(lesion.susceptibility_ppm))
    assert len(signs) >= 6
    assert np.mean(signs) > 0.05


def test_the_slab_is_oblique_and_the_series_have_their_own_grids(
    empty: Subject, protocol: Protocol
) -> None:
    magnitude = empty.images[Role.MAGNITUDE]
    normal = magnitude.volumes[0].affine[:3, 0] / protocol.voxel_mm[0]
    assert np.linalg.norm(normal) == pytest.approx(1)
    assert np.rad2deg(np.arccos(normal[2])) == pytest.approx(8.94, abs=0.1)
    assert [s.echo_time_ms for s in magnitude.samples] == list(protocol.echo_times_ms)
    assert empty.images[Role.T2W].volumes[0].spacing == pytest.approx((3.0, 0.9, 0.9))
    assert empty.images[Role.CBF].unit is Unit.ABSOLUTE_CBF
    phase = _array(empty, Role.PHASE, 2)
    assert np.abs(phase).max() <= np.pi + 1e-5


def test_contrasts_order_the_tissues_as_scanners_do(empty: Subject) -> None:
    def median(role: Role, radius: tuple[float, float]) -> float:
        volume = empty.images[role].volumes[0]
        index = np.stack(np.indices(volume.spatial_shape), axis=-1)
        points = index @ volume.affine[:3, :3].T + volume.affine[:3, 3]
        r = np.linalg.norm(points - centre, axis=-1)
        return float(np.median(volume.array[(r > radius[0]) & (r < radius[1])]))

    brain = empty.truth.brain
    cells = np.argwhere(brain.array).mean(axis=0)
    centre = brain.affine[:3, :3] @ cells + brain.affine[:3, 3]
    fluid, white = (0, 3), (24.5, 27)
    assert median(Role.T1W, white) > 3 * median(Role.T1W, fluid)
    assert median(Role.T2W, fluid) > 2 * median(Role.T2W, white)
    assert median(Role.FA, white) == pytest.approx(0.45, abs=0.06)
    assert median(Role.FA, fluid) < 0.2
    assert median(Role.CBF, white) == pytest.approx(22, abs=6)


def test_snr_of_the_first_echo_is_the_protocols(
    ball: Anatomy, protocol: Protocol, empty: Subject
) -> None:
    quiet = simulate(3, anatomy=ball, protocol=replace(protocol, snr=1e6), burden=Burden.none())
    brain = quiet.truth.brain.array
    clean, rough = (_array(s, Role.MAGNITUDE)[brain] for s in (quiet, empty))
    assert np.median(clean) / (rough - clean).std() == pytest.approx(protocol.snr, rel=0.2)


def test_scanner_swi_is_made_only_where_asked(empty: Subject, loaded: Subject) -> None:
    swi, projected = _array(empty, Role.SWI), _array(empty, Role.MIP)
    assert (projected <= swi + 1e-6).all()
    brain = empty.truth.brain.array
    assert np.median(swi[brain]) <= np.median(_array(empty, Role.MAGNITUDE, 2)[brain])
    assert Role.SWI not in loaded.images


def test_perivascular_spaces_and_white_matter_lesions_change_t2_and_get_no_label(
    ball: Anatomy, protocol: Protocol, empty: Subject
) -> None:
    burden = replace(Burden.none(), perivascular_spaces=10, white_matter_lesions=10)
    subject = simulate(3, anatomy=ball, protocol=protocol, burden=burden)
    assert not subject.truth.lesions.array.any()
    change = _array(subject, Role.T2W) - _array(empty, Role.T2W)
    assert change.max() > 100
    assert (change > 20).sum() > 3 * (change < -20).sum()
    assert np.abs(_array(subject, Role.T1W) - _array(empty, Role.T1W)).max() > 30


def test_siderosis_lines_the_cortex_and_cavernomas_are_mottled_clusters(
    ball: Anatomy, protocol: Protocol, loaded: Subject
) -> None:
    burden = Burden(microbleeds=0, iron_deposits=0, calcifications=0, veins=0, flow_voids=0,
                    siderosis=3, cavernomas=2)
    subject = simulate(4, anatomy=ball, protocol=protocol, burden=burden)
    kinds = [one.kind for one in subject.truth.planted]
    assert kinds.count(Planted.CAVERNOMA) == 2
    assert kinds.count(Planted.SIDEROSIS) >= 1
    for one in subject.truth.planted:
        assert one.susceptibility_ppm > 0
        if one.kind is Planted.CAVERNOMA:
            assert 3 < one.diameter_mm < 16
        else:
            chi = subject.truth.susceptibility_ppm.array[subject.truth.lesions.array == one.index]
            assert chi.max() > 0.1
    assert {one.kind for one in loaded.truth.planted}.isdisjoint(
        {Planted.CAVERNOMA, Planted.SIDEROSIS})


def test_most_scans_have_few_bleeds_and_some_have_many() -> None:
    generator = np.random.default_rng(0)
    counts = np.array([draw(Burden(), generator)[Planted.MICROBLEED] for _ in range(600)])
    assert 0.25 < (counts == 0).mean() < 0.45
    assert (counts > 15).mean() > 0.03
    assert counts.max() <= 60
    assert draw(Burden(microbleeds=3), generator)[Planted.MICROBLEED] == 3
