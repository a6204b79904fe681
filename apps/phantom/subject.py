"""One call from a seed to everything a scanner would give, and the truth behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.phantom import contrasts, gre
from apps.phantom.anatomy import Anatomy
from apps.phantom.distractors import add_distractors
from apps.phantom.field import b0_in_grid, dipole_field
from apps.phantom.grids import Grid, axial_grid, rotation
from apps.phantom.head import MARGIN_MM, Head, draw_table, make_head
from apps.phantom.labels import outline, signal_drop
from apps.phantom.lesions import Burden, draw, plant
from apps.phantom.readout import head_shifts, read_out
from apps.phantom.scanner_swi import minimum_projection, susceptibility_weighted
from apps.phantom.sources import Source
from apps.phantom.tissue import Tissue
from apps.phantom.types import Image, Protocol, Subject, Truth
from apps.phantom.warp import random_warp
from operators.types import Role, Sample, Unit

__all__ = ["VERSION", "Burden", "Protocol", "simulate"]

Float = NDArray[np.float32]
Complex = NDArray[np.complex64]
Factors = tuple[int, int, int]

FINEST_MM = 1.1
"""Acquired voxels longer than this are simulated as several cells."""

SCALE = 5000.0
"""Arbitrary units of the magnitude per unit of signal: white matter comes to some 200."""

VERSION = "1"
"""Of what `simulate` gives for a seed; rises when the same seed gives other arrays."""


@dataclass(frozen=True, slots=True, eq=False)
class Slab:
    """The acquired GRE grid, the fine grid around it, and the cells per voxel."""

    acquired: Grid
    fine: Grid
    factors: Factors
    inner: tuple[slice, slice, slice]


def make_slab(protocol: Protocol, centre: NDArray[np.float64]) -> Slab:
    """Oblique slab; the fine grid goes on 12 mm beyond its first and last slice."""
    acquired = axial_grid(
        protocol.voxel_mm, protocol.field_of_view_mm, centre, rotation(protocol.tilt_deg))
    factors: Factors = tuple(  # type: ignore[assignment]
        int(np.ceil(v / FINEST_MM)) for v in acquired.spacing_mm)
    cells = acquired.divided(factors)
    margin = int(np.ceil(MARGIN_MM / cells.spacing_mm[0]))
    affine = cells.affine.copy()
    affine[:3, 3] = cells.point((-margin, 0, 0))
    fine = Grid((cells.shape[0] + 2 * margin, *cells.shape[1:]), affine)
    inner = (slice(margin, margin + cells.shape[0]), slice(None), slice(None))
    return Slab(acquired, fine, factors, inner)


def simulate(
    seed: int, *, anatomy: Anatomy, protocol: Protocol | None = None,
    burden: Burden | None = None, scanner_swi: bool = False,
) -> Subject:
    """Simulate one subject; the same arguments give the same arrays.

    Images: MAGNITUDE and PHASE (one volume per echo; phase in radians, wrapped, +2 pi gamma dB TE),
    T2W, T1W, FA with DWI b0, CBF with ASL M0; with `scanner_swi` also SWI and MIP of the last echo.
    The random streams of head, lesions, coil and contrasts are separate: another burden plants
    into the same head with the same noise.
    """
    protocol, burden = protocol or Protocol(), burden or Burden()
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(7)]
    warp = random_warp(streams[0])
    centre = np.linalg.inv(warp.affine)[:3, 3] + streams[0].uniform(-2, 2, 3)
    slab = make_slab(protocol, centre)
    age = float(streams[1].uniform(45, 88))
    table = draw_table(streams[1], field_strength_t=protocol.field_strength_t, age_years=age)
    head = make_head(anatomy, warp, slab.fine, table, streams[1])
    add_distractors(
        head, table, streams[6], perivascular_spaces=burden.perivascular_spaces,
        white_matter_lesions=burden.white_matter_lesions)
    field = _field(head.chi_ppm, slab.fine) + head.background_ppm
    twin = _Scan(head, field, slab, protocol, streams[3])
    before = twin.echo(protocol.echo_times_ms[-1])
    sources, chi = plant(
        head, draw(burden, streams[2]), streams[2], field_strength_t=protocol.field_strength_t)
    scan = twin.with_lesions(head, field + _field(chi, slab.fine))
    echoes = tuple(scan.echo(te) for te in protocol.echo_times_ms)
    head.chi_ppm[...] += chi
    images = _gre_images(echoes, slab.acquired, protocol, scanner_swi)
    truth = _truth(head, slab, sources, before, echoes[-1])
    images |= contrasts.structural(head, protocol, streams[4], centre)
    images |= contrasts.diffusion(head, protocol, streams[5], centre)
    images |= contrasts.perfusion(head, protocol, streams[5], centre)
    return Subject(seed, anatomy.name, protocol, images, truth)


def _field(chi: Float, grid: Grid) -> Float:
    return dipole_field(chi, spacing_mm=grid.spacing_mm, b0=b0_in_grid(grid.affine))


class _Scan:
    """A GRE session: one coil and one noise per echo, whatever lies in the head."""

    def __init__(self, head: Head, field: Float, slab: Slab, protocol: Protocol,
                 generator: np.random.Generator) -> None:
        self._slab, self._protocol = slab, protocol
        self._coil = gre.receive(slab.acquired.shape, generator)
        seeds = generator.integers(2**63, size=len(protocol.echo_times_ms))
        self._seeds = dict(zip(protocol.echo_times_ms, seeds, strict=True))
        self._shifts = head_shifts(slab.acquired.shape[2], protocol.motion_mm, generator)
        self._load(head, field)
        white = head.tissue[slab.inner] == Tissue.WHITE
        decay = np.exp(-head.r2star[slab.inner][white] * protocol.echo_times_ms[0] * 1e-3)
        self._sigma = float(np.median(self._amplitude[white] * decay)) / protocol.snr
        self._sigma /= float(np.sqrt(min(protocol.phase_resolution, 1.0)))

    def with_lesions(self, head: Head, field: Float) -> _Scan:
        """The same session on the head as it is now."""
        self._load(head, field)
        return self

    def _load(self, head: Head, field: Float) -> None:
        inner = self._slab.inner
        self._amplitude = gre.spoiled_amplitude(
            head.pd[inner], head.r1[inner],
            repetition_time_ms=self._protocol.repetition_time_ms,
            flip_angle_deg=self._protocol.flip_angle_deg)
        self._r2star = head.r2star[inner]
        self._rate = gre.phase_per_ms(field[inner], self._protocol.field_strength_t)
        self._slopes = gre.gradients(self._rate)

    def echo(self, echo_time_ms: float) -> Complex:
        """Complex image of one echo on the acquired grid."""
        signal = gre.echo(
            self._amplitude, self._r2star, self._rate, self._slopes,
            echo_time_ms=echo_time_ms, factors=self._slab.factors)
        signal *= self._coil
        generator = np.random.default_rng(self._seeds[echo_time_ms])
        signal += gre.coil_noise(self._slab.acquired.shape, self._sigma, generator)
        return read_out(
            signal, resolution=self._protocol.phase_resolution, shifts_mm=self._shifts,
            voxel_mm=self._slab.acquired.spacing_mm[2])


def _gre_images(
    echoes: tuple[Complex, ...], grid: Grid, protocol: Protocol, scanner_swi: bool
) -> dict[Role, Image]:
    samples = tuple(Sample(echo_time_ms=te) for te in protocol.echo_times_ms)
    magnitude = tuple(grid.volume(np.abs(e) * np.float32(SCALE)) for e in echoes)
    phase = tuple(grid.volume(np.angle(e).astype(np.float32)) for e in echoes)
    images = {
        Role.MAGNITUDE: Image(Role.MAGNITUDE, magnitude, samples, Unit.ARBITRARY),
        Role.PHASE: Image(Role.PHASE, phase, samples, Unit.RADIAN),
    }
    if scanner_swi:
        swi = susceptibility_weighted(
            echoes[-1], protocol.swi_power, protocol.swi_keep) * np.float32(SCALE)
        slices = max(1, round(14.0 / grid.spacing_mm[0]))
        for role, array in ((Role.SWI, swi), (Role.MIP, minimum_projection(swi, slices))):
            images[role] = Image(role, (grid.volume(array),), samples[-1:], Unit.ARBITRARY)
    return images


def _truth(head: Head, slab: Slab, sources: list[Source], before: Complex, after: Complex
           ) -> Truth:
    grid = slab.acquired
    drop = signal_drop(
        susceptibility_weighted(after), susceptibility_weighted(before), smooth_mm=2.0, grid=grid)
    moved = [_within(source, slab) for source in sources]
    labels, planted = outline(drop, [s for s in moved if s is not None], grid, slab.factors)
    brain = gre.average_blocks(head.brain[slab.inner].astype(np.float32), slab.factors) >= 0.5
    chi = gre.average_blocks(head.chi_ppm[slab.inner], slab.factors)
    chi = np.where(brain, chi - (chi[brain].mean() if brain.any() else 0), 0).astype(np.float32)
    middle = tuple(slice(f // 2, None, f) for f in slab.factors)
    regions = head.regions[slab.inner][middle] * brain
    return Truth(grid.volume(labels), planted, grid.volume(chi), grid.volume(brain),
                 grid.volume(regions.astype(np.uint8)))


def _within(source: Source, slab: Slab) -> Source | None:
    """The source with its box counted from the slab's first cell; None if it lies outside."""
    margin = slab.inner[0].start
    first, last = source.box[0].start - margin, source.box[0].stop - margin
    depth = slab.acquired.shape[0] * slab.factors[0]
    low, high = max(first, 0), min(last, depth)
    if low >= high:
        return None
    return Source(source.kind, source.centre_lps_mm, source.radius_mm, source.chi_ppm,
                  source.structure, (slice(low, high), *source.box[1:]),
                  source.weight[low - first:high - first])
