"""From what the network says of a candidate to the probability that it is one.

The network judges pixels. How sure a whole candidate is depends on its size, susceptibility, shape
and place too: false candidates are small, are tubes, do not stand out of an iron-rich nucleus, or
lie at the brain's rim where QSM is unknown. One logistic regression per class weighs these with
what the second stage says (see `second_stage`); fitted on validation subjects, kept in the bundle's
metadata.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SECOND = "second_log_odds"
FEATURES = ("log_odds", SECOND, "log_volume", "mean_ppm", "contrast_ppm", "unknown_ppm",
            "vesselness", "rim")
"""Log-odds of the network and of the second stage (0 where there is none); ln(volume / mm3); mean
susceptibility, and that above the surroundings (0 where unknown); 1 where unknown; 0 ball to 1
tube; 1 at the brain's surface, falling by e in 4 mm."""
RIM_MM = 4.0
LOG_ODDS_LIMIT, PPM_LIMIT = 8.0, 0.25
RIDGE = 2.0
"""Weight of the squared coefficients on standardised features: few lesions, so a strong one."""


@dataclass(frozen=True, slots=True)
class Logistic:
    """Log-odds = intercept + weights . features, in the order of `FEATURES`."""

    intercept: float
    weights: tuple[float, ...]

    def probability(self, features: Sequence[float]) -> float:
        """The calibrated probability of one candidate."""
        return float(_expit(self.intercept + float(np.dot(self.weights, features))))

    def as_plain(self) -> dict[str, float]:
        """For metadata.json."""
        named = zip(FEATURES, self.weights, strict=True)
        return {"intercept": round(self.intercept, 4)} | {k: round(v, 4) for k, v in named}

    @classmethod
    def from_plain(cls, stored: Mapping[str, float]) -> Logistic:
        """From metadata.json; KeyError names what is missing.

        Models from before there was a second stage do not name its weight: it is 0.
        """
        named = {SECOND: 0.0} | dict(stored)
        return cls(float(named["intercept"]), tuple(float(named[name]) for name in FEATURES))

    @property
    def second(self) -> float:
        """The weight of the second stage."""
        return self.weights[FEATURES.index(SECOND)]


def features(
    probability: float, second: float | None, volume_mm3: float, mean_ppm: float | None,
    contrast_ppm: float | None, vesselness: float, depth_mm: float,
) -> tuple[float, ...]:
    """What the regression sees of a candidate; see `FEATURES`. `depth_mm`: below the surface."""
    again = 0.0 if second is None else _log_odds(second)
    mean, contrast = (
        0.0 if value is None else float(np.clip(value, -PPM_LIMIT, PPM_LIMIT))
        for value in (mean_ppm, contrast_ppm))
    return (_log_odds(probability), again, float(np.log(volume_mm3)), mean, contrast,
            float(contrast_ppm is None), vesselness, float(np.exp(-depth_mm / RIM_MM)))


def _log_odds(probability: float) -> float:
    odds = np.log(max(probability, 1e-9) / max(1 - probability, 1e-9))
    return float(np.clip(odds, -LOG_ODDS_LIMIT, LOG_ODDS_LIMIT))


def fit(rows: Sequence[Sequence[float]], true: Sequence[bool]) -> Logistic | None:
    """Ridge logistic regression by Newton's method; None without both kinds of candidates."""
    x, y = np.asarray(rows, float), np.asarray(true, float)
    if len(set(true)) < 2:
        return None
    centre, scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
    design = np.column_stack([np.ones(len(x)), (x - centre) / scale])
    penalty = np.diag([0.0] + [RIDGE] * x.shape[1])
    beta: NDArray[np.float64] = np.zeros(design.shape[1])
    for _ in range(50):
        p = _expit(design @ beta)
        gradient = design.T @ (p - y) + penalty @ beta
        curvature = (design * (p * (1 - p))[:, None]).T @ design + penalty
        beta = beta - np.linalg.solve(curvature + 1e-9 * np.eye(len(beta)), gradient)
    weights = beta[1:] / scale
    return Logistic(float(beta[0] - weights @ centre), tuple(float(w) for w in weights))


def _expit(value: float | NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(value, -60, 60))))
