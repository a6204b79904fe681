"""Where in a head things may lie."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from apps.phantom.head import Head
from apps.phantom.tissue import Tissue
from operators.labels import STRUCTURES, MarsCategory

Index = NDArray[np.float64]

_STRIDE = 2
_VENTRICLES = 29
_CATEGORIES = (MarsCategory.LOBAR, MarsCategory.DEEP, MarsCategory.INFRATENTORIAL)


class Sites:
    """Random cells of a head by place; fractional indices of the fine grid, None where none is.

    Every second cell along each axis is looked at.
    """

    def __init__(self, head: Head, generator: np.random.Generator) -> None:
        every = (slice(None, None, _STRIDE),) * 3
        self._generator = generator
        self._inside = head.brain[every]
        self._regions = np.where(self._inside, head.regions[every], 0)
        self._tissue = head.tissue[every]
        self._spacing = np.array(head.grid.spacing_mm)
        self._mix = generator.dirichlet((3.0, 1.6, 1.2))
        self._cells: dict[tuple[object, ...], NDArray[np.intp]] = {}
        self._ventricle_centres = self._sides()

    def by_category(self) -> Index | None:
        """Lobar, deep or infratentorial by this subject's own mix (CAA-like to hypertensive).

        The mix is Dirichlet(3, 1.6, 1.2): lobar is the commonest (our choice).
        """
        category = _CATEGORIES[self._generator.choice(3, p=self._mix)]
        numbers = [n for n, s in STRUCTURES.items() if s.category is category]
        fluid = (Tissue.CSF, Tissue.CHOROID)
        return self._pick(("category", category), lambda: np.isin(self._regions, numbers)
                          & ~np.isin(self._tissue, fluid))

    def in_regions(self, numbers: Sequence[int]) -> Index | None:
        """In one of the structures."""
        return self._pick(("regions", *numbers), lambda: np.isin(self._regions, numbers))

    def in_tissue(self, *tissues: Tissue) -> Index | None:
        """Inside the brain mask, in one of the tissues."""
        return self._pick(("tissue", *tissues),
                          lambda: np.isin(self._tissue, tissues) & self._inside)

    def from_ventricle(self, index: Index) -> Index:
        """Unit vector (mm axes) from the middle of the nearer lateral ventricle to a place."""
        if not len(self._ventricle_centres):
            return np.array([1.0, 0.0, 0.0])
        away = (index - self._ventricle_centres) * self._spacing
        nearest = away[int(np.linalg.norm(away, axis=1).argmin())]
        return np.asarray(nearest / max(float(np.linalg.norm(nearest)), 1e-6))

    def _pick(self, key, mask) -> Index | None:  # type: ignore[no-untyped-def]
        if key not in self._cells:
            self._cells[key] = np.flatnonzero(mask())
        cells = self._cells[key]
        if not cells.size:
            return None
        flat = int(cells[self._generator.integers(cells.size)])
        index = np.array(np.unravel_index(flat, self._regions.shape)) * _STRIDE
        return np.asarray(index + self._generator.uniform(-0.49, 0.49, 3))

    def _sides(self) -> NDArray[np.float64]:
        """Centres of the ventricles' left and right half, fractional index."""
        cells = np.argwhere(self._regions == _VENTRICLES) * _STRIDE
        if len(cells) < 2:
            return np.zeros((0, 3))
        middle = cells[:, 2].mean()
        halves = (cells[cells[:, 2] < middle], cells[cells[:, 2] >= middle])
        return np.array([half.mean(axis=0) for half in halves if len(half)])
