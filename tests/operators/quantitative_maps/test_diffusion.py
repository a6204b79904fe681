"""Tensor fits on signals made from a known tensor."""

from __future__ import annotations

import numpy as np
import pytest
from highdicom import Volume
from numpy.typing import NDArray

from operators.errors import StepFailed
from operators.quantitative_maps.diffusion import tensor_maps
from operators.types import Sample

from .conftest import axial, volume

SHAPE = (12, 40, 40)
EIGENVALUES = np.array([1.7e-3, 0.3e-3, 0.2e-3])
Z, Y, X = np.indices(SHAPE) - np.array([6, 20, 20]).reshape(3, 1, 1, 1)
HEAD = (2 * Z) ** 2 + Y**2 + X**2 < 16**2


def expected_fa() -> float:
    spread = EIGENVALUES - EIGENVALUES.mean()
    return float(np.sqrt(1.5 * (spread**2).sum() / (EIGENVALUES**2).sum()))


def directions(count: int) -> NDArray[np.float64]:
    """Points of a Fibonacci spiral on half a sphere."""
    height = (np.arange(count) + 0.5) / count
    angle = np.pi * (1 + np.sqrt(5)) * np.arange(count)
    flat = np.sqrt(1 - height**2)
    return np.stack([flat * np.cos(angle), flat * np.sin(angle), height], axis=1)


def acquired(
    vectors: NDArray, b: float = 1000.0, turn: NDArray | None = None
) -> tuple[list[Volume], list[Sample]]:
    """b0 and weighted volumes of a head of one tensor; `turn` rotates the fibres."""
    turn = np.eye(3) if turn is None else turn
    tensor = turn @ np.diag(EIGENVALUES) @ turn.T
    signals = [1000 * np.exp(-b * v @ tensor @ v) for v in vectors]
    images = [np.where(HEAD, s, 1).astype(np.float32) for s in (1000.0, *signals)]
    samples = [Sample(b_value_s_mm2=0.0)] + [
        Sample(b_value_s_mm2=b, b_vector_lps=(float(v[0]), float(v[1]), float(v[2])))
        for v in vectors
    ]
    return [volume(image, axial((2.0, 1.0, 1.0))) for image in images], samples


def test_fa_and_md_are_those_of_the_tensor() -> None:
    fa, md = tensor_maps(*acquired(directions(12)))
    assert np.allclose(fa.array[HEAD], expected_fa(), atol=1e-3)
    assert np.allclose(md.array[HEAD], EIGENVALUES.mean(), rtol=1e-3)


def test_threads_change_nothing() -> None:
    one, two = (tensor_maps(*acquired(directions(12)), threads=count) for count in (1, 3))
    for alone, together in zip(one, two, strict=True):
        assert np.array_equal(alone.array, together.array)


def test_fa_does_not_depend_on_where_the_fibres_run() -> None:
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    fa, _ = tensor_maps(*acquired(directions(12), turn=turn))
    assert np.allclose(fa.array[HEAD], expected_fa(), atol=1e-3)


def test_b2500_with_one_b0_is_enough() -> None:
    fa, _ = tensor_maps(*acquired(directions(20), b=2500.0))
    assert np.allclose(fa.array[HEAD], expected_fa(), atol=1e-3)


def test_a_trace_image_in_the_series_is_left_out() -> None:
    volumes, samples = acquired(directions(12))
    volumes.append(volume(np.full(SHAPE, 5000, np.float32), axial((2.0, 1.0, 1.0))))
    samples.append(Sample(b_value_s_mm2=1000.0))
    fa, _ = tensor_maps(volumes, samples)
    assert np.allclose(fa.array[HEAD], expected_fa(), atol=1e-3)


def test_a_series_without_b0_is_refused() -> None:
    volumes, samples = acquired(directions(12))
    with pytest.raises(StepFailed, match="12 weighted volumes and no b0"):
        tensor_maps(volumes[1:], samples[1:])


@pytest.mark.parametrize("count", [3, 5])
def test_too_few_directions_are_refused(count: int) -> None:
    with pytest.raises(StepFailed, match=f"fix {count} of the 6 parts"):
        tensor_maps(*acquired(directions(count)))


def test_directions_in_one_plane_are_refused() -> None:
    angle = np.linspace(0, np.pi, 12, endpoint=False)
    flat = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    with pytest.raises(StepFailed, match="fix 3 of the 6 parts"):
        tensor_maps(*acquired(flat))
