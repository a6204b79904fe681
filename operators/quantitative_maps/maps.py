"""Which maps a study lacks, and which of them its raw data give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from operators.brain_mask import brain_mask
from operators.errors import LentiformError, StepFailed
from operators.quantitative_maps.diffusion import tensor_maps
from operators.quantitative_maps.gradient_echo import Echo, paired_echoes
from operators.quantitative_maps.perfusion import blood_flow
from operators.quantitative_maps.qsm import susceptibility
from operators.quantitative_maps.settings import QuantitativeMapsSettings
from operators.quantitative_maps.swi import minimum_intensity_projection, susceptibility_weighted
from operators.types import Role, Sample, Series, Study, Unit

if TYPE_CHECKING:
    from highdicom import Volume

SeriesByRole = Mapping[Role, Series]
_GRE = (Role.MAGNITUDE, Role.PHASE)
Maker = Callable[[SeriesByRole, QuantitativeMapsSettings], tuple[Series, ...]]


@dataclass(frozen=True, slots=True)
class _Recipe:
    """What calls for a map (its absence), what it is made of, and how.

    `silent`: its sources' absence is told by another recipe already.
    """

    wanted: Role
    sources: tuple[Role, ...]
    make: Maker
    silent: bool = False


def add_maps(study: Study, settings: QuantitativeMapsSettings) -> Study:
    """The study with every map that it lacks and its raw data give.

    SWI and QSM from GRE magnitude and phase, the minimum intensity projection from SWI, FA and MD
    from DWI, CBF from ASL. A map that cannot be computed is left out, and a warning says why;
    acquired series stay as they are.
    """
    series = dict(study.series)
    warnings = list(study.warnings)
    for recipe in _RECIPES:
        if recipe.wanted in series:
            continue
        absent = [role.value for role in recipe.sources if role not in series]
        if absent and recipe.silent:
            continue
        name = recipe.wanted.value.upper()
        if absent:
            found = f"the study has no {' and no '.join(absent)} series"
            warnings.append(f"{name} was not computed: {found}.")
            continue
        try:
            made = recipe.make(series, settings)
        except (LentiformError, np.linalg.LinAlgError) as error:
            warnings.append(f"{name} was not computed: {error}")
        else:
            series |= {one.role: one for one in made if one.role not in series}
    return replace(study, series=series, warnings=tuple(warnings))


def _swi(series: SeriesByRole, settings: QuantitativeMapsSettings) -> tuple[Series, ...]:
    echo = _swi_echo(series, settings)
    image = susceptibility_weighted(
        echo.magnitude, echo.phase, homodyne_fraction=settings.swi.homodyne_fraction,
        mask_power=settings.swi.mask_power,
    )
    reason = (
        f"computed from magnitude and phase of the echo at {echo.time_ms:g} ms: homodyne filter "
        f"over {settings.swi.homodyne_fraction:g} of k-space, phase mask to the power "
        f"{settings.swi.mask_power}"
    )
    source = series[Role.MAGNITUDE]
    return (_derived(
        source, Role.SWI, image, unit=Unit.ARBITRARY, reason=reason, derived_from=_GRE,
        sample=Sample(echo_time_ms=echo.time_ms),
    ),)


def _swi_echo(series: SeriesByRole, settings: QuantitativeMapsSettings) -> Echo:
    """The echo nearest to the usual SWI echo time; at 3 T where the field is unknown."""
    echoes = paired_echoes(series[Role.MAGNITUDE], series[Role.PHASE])
    field_t = series[Role.PHASE].acquisition.field_strength_t or 3.0
    wanted_ms = settings.swi.echo_weighting_t_ms / field_t
    return min(echoes, key=lambda echo: abs(echo.time_ms - wanted_ms))


def _mip(series: SeriesByRole, settings: QuantitativeMapsSettings) -> tuple[Series, ...]:
    source = series[Role.SWI]
    thickness = settings.swi.projection_mm
    image = minimum_intensity_projection(source.volumes[0], thickness_mm=thickness)
    reason = f"computed from the SWI: sliding minimum over {thickness:g} mm"
    return (_derived(
        source, Role.MIP, image, unit=source.unit, reason=reason, derived_from=(Role.SWI,),
        sample=source.samples[0],
    ),)


def _qsm(series: SeriesByRole, settings: QuantitativeMapsSettings) -> tuple[Series, ...]:
    source = series[Role.PHASE]
    echoes = paired_echoes(series[Role.MAGNITUDE], source)
    field_t = source.acquisition.field_strength_t
    if field_t is None:
        raise StepFailed(
            "The phase series does not state its field strength, which scales phase to ppm. Send "
            "the series with Magnetic Field Strength (0018,0087)."
        )
    image = susceptibility(
        [echo.magnitude for echo in echoes], [echo.phase for echo in echoes],
        [echo.time_ms for echo in echoes], field_strength_t=field_t,
        mask=brain_mask(echoes[0].magnitude, role=Role.MAGNITUDE), settings=settings.qsm,
    )
    times = ", ".join(f"{echo.time_ms:g}" for echo in echoes)
    inversion = {"tkd": "thresholded division", "regularised": "regularised inversion"}
    reason = (
        f"computed from the phase at {times} ms: path-following unwrapping, V-SHARP, "
        f"{inversion[settings.qsm.inversion]}; mean of the brain is 0 ppm"
    )
    return (_derived(
        source, Role.QSM, image, unit=Unit.PPM, reason=reason, derived_from=_GRE
    ),)


def _diffusion(series: SeriesByRole, settings: QuantitativeMapsSettings) -> tuple[Series, ...]:
    source = series[Role.DWI]
    fa, md = tensor_maps(source.volumes, source.samples, threads=settings.threads)
    reason = f"computed from {len(source.volumes)} diffusion volumes: weighted tensor fit (dipy)"
    raw = (Role.DWI,)
    return (
        _derived(source, Role.FA, fa, unit=Unit.RATIO, reason=reason, derived_from=raw),
        _derived(source, Role.MD, md, unit=Unit.MM2_PER_S, reason=reason, derived_from=raw),
    )


def _perfusion(series: SeriesByRole, settings: QuantitativeMapsSettings) -> tuple[Series, ...]:
    source = series[Role.ASL]
    flow = blood_flow(source.volumes, source.samples, source.acquisition, settings.perfusion)
    reason = f"computed from the ASL series: {flow.reason}"
    return (_derived(
        source, Role.CBF, flow.volume, unit=flow.unit, reason=reason, derived_from=(Role.ASL,)
    ),)


def _derived(
    source: Series, role: Role, volume: Volume, *, unit: Unit, reason: str,
    derived_from: tuple[Role, ...], sample: Sample | None = None,
) -> Series:
    """`volume` as a series that keeps its source's headers, UID and acquisition."""
    return replace(
        source, role=role, volumes=(volume,), samples=(sample or Sample(),), unit=unit,
        reason=reason, derived_from=derived_from,
    )


_RECIPES: tuple[_Recipe, ...] = (
    _Recipe(Role.SWI, _GRE, _swi),
    _Recipe(Role.MIP, (Role.SWI,), _mip, silent=True),
    _Recipe(Role.QSM, _GRE, _qsm),
    _Recipe(Role.FA, (Role.DWI,), _diffusion),
    _Recipe(Role.CBF, (Role.ASL,), _perfusion),
)
