"""Which contrast of a study lesions are sought on, or why none will do."""

from __future__ import annotations

from operators.lesion_segmenter.settings import LesionSettings
from operators.types import CoregisteredStudy, NotAssessed, Role


def susceptibility_source(
    study: CoregisteredStudy, settings: LesionSettings
) -> Role | NotAssessed:
    """The contrast that shows microbleeds: SWI, else a magnitude with enough T2* weighting.

    An acquired SWI is taken at its word. A computed one, or a magnitude, must reach
    `magnitude_min_te_field`; an unknown field strength counts as 1.5 T.
    """
    spacing = study.brain.spacing[0]
    if spacing > settings.max_slice_spacing_mm:
        return NotAssessed(
            f"Slices lie {spacing:.1f} mm apart; lesions are assessed up to "
            f"{settings.max_slice_spacing_mm:g} mm."
        )
    if Role.SWI in study.contrasts and not study.study.series[Role.SWI].is_derived:
        return Role.SWI
    if Role.MAGNITUDE not in study.study.series:
        return _without_source(study)
    weighting = _te_field(study)
    if weighting < settings.magnitude_min_te_field:
        return NotAssessed(
            f"The gradient-echo series has too little T2* weighting for microbleeds (echo time x "
            f"field {weighting:.0f} ms T, wanted {settings.magnitude_min_te_field:g}): it looks "
            "like a field map. Send SWI, or gradient echo with a longer echo time."
        )
    for role in (Role.SWI, Role.MAGNITUDE):
        if role in study.contrasts:
            return role
    return _without_source(study)


def _without_source(study: CoregisteredStudy) -> NotAssessed:
    dropped = "; ".join(study.dropped[role] for role in (Role.SWI, Role.MAGNITUDE)
                        if role in study.dropped)
    return NotAssessed(dropped or "The study has neither SWI nor gradient-echo magnitude.")


def _te_field(study: CoregisteredStudy) -> float:
    """Longest echo time times field strength of the magnitude, ms T; 0 where unknown."""
    series = study.study.series[Role.MAGNITUDE]
    echoes = [one.echo_time_ms for one in series.samples if one.echo_time_ms is not None]
    return max(echoes, default=0.0) * (series.acquisition.field_strength_t or 1.5)
