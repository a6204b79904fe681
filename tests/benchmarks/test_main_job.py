"""The benchmark measures processes, and gives its stock peer the same network."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks.main_job import Cost, Run, measure, median, table

_BUSY = """
import time
block = bytearray(300 * 2**20)
end = time.process_time() + 0.5
while time.process_time() < end:
    pass
time.sleep(0.5)
"""


def test_measure_tells_wall_cpu_and_memory_of_a_child_apart(tmp_path):
    cost, code = measure([sys.executable, "-c", _BUSY], threads=1, log=tmp_path / "log")
    assert code == 0
    assert 0.5 < cost.cpu_seconds < 2.0
    assert cost.seconds > cost.cpu_seconds
    assert 300 < cost.peak_mib < 400


def test_measure_hands_on_the_exit_code_and_the_output(tmp_path):
    command = [sys.executable, "-c", "print('why'); raise SystemExit(7)"]
    _, code = measure(command, threads=1, log=tmp_path / "log")
    assert code == 7
    assert (tmp_path / "log").read_text() == "why\n"


def _run(seconds, step_seconds, peak_mib=1000.0):
    return Run(
        Cost(seconds, seconds, peak_mib), {"DICOM loader": Cost(step_seconds, step_seconds / 2)}
    )


def test_median_is_of_each_figure():
    middle = median([_run(9, 1), _run(10, 3), _run(50, 2)])
    assert middle.whole.seconds == 10
    assert middle.steps["DICOM loader"] == Cost(2, 1)


def test_the_table_divides_ours_on_the_same_series_by_the_stock_operators():
    lines = table(_run(60, 5), _run(20, 1, 800), _run(40, 4)).splitlines()
    assert lines[2].endswith("| 0.25 / 0.25 |")
    assert lines[3].startswith("| **whole process** | 60.0 s / 60.0 |")
    assert lines[4] == "| **peak memory** | 1000 MiB | 800 MiB | 1000 MiB | 0.80 |"


def test_the_stock_bundle_is_the_same_network_slice_by_slice():
    torch = pytest.importorskip("torch")
    from benchmarks.stock_bundle import WholeVolume
    from operators.lesion_segmenter.inference import make_runner, predict
    from operators.lesion_segmenter.network import LesionNet

    torch.manual_seed(0)
    network = LesionNet(levels=(4, 4, 4, 4, 4, 4, 4)).eval()
    generator = np.random.default_rng(0)
    swi = generator.uniform(500, 1500, (11, 70, 50)).astype(np.float32)
    with torch.no_grad():
        traced = torch.jit.trace(network, torch.zeros(1, 9, 64, 64))
        image = torch.from_numpy(swi.transpose(2, 1, 0).copy())[None, None]
        scores = torch.jit.script(WholeVolume(traced))(image)
    stock = scores[0].softmax(0).numpy().transpose(0, 3, 2, 1)
    channels = np.zeros((3, *swi.shape), np.float32)
    channels[0] = np.clip(swi / swi.mean(), 0, 3) - 1
    ours = predict(channels, make_runner(network), slices_per_batch=8)
    assert stock == pytest.approx(ours, abs=1e-5)
