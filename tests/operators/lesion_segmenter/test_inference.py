import numpy as np
import pytest
import torch

from operators.lesion_segmenter import inference
from operators.lesion_segmenter.inference import make_runner, neighbours, predict
from operators.lesion_segmenter.network import LesionNet


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    return LesionNet()


def test_each_slice_comes_with_its_neighbours_contrast_by_contrast():
    array = np.zeros((2, 4, 1, 1), np.float32)
    array[:, :, 0, 0] = [[0, 1, 2, 3], [10, 11, 12, 13]]
    stacked = neighbours(array, 0, 4)[:, :, 0, 0]
    assert stacked.tolist() == [
        [0, 0, 1, 10, 10, 11], [0, 1, 2, 10, 11, 12], [1, 2, 3, 11, 12, 13], [2, 3, 3, 12, 13, 13],
    ]


def test_probabilities_sum_to_one_on_a_grid_of_any_size(network):
    array = np.random.default_rng(0).normal(size=(3, 3, 70, 41)).astype(np.float32)
    maps = predict(array, make_runner(network), slices_per_batch=2)
    assert maps.shape == (5, 3, 70, 41)
    np.testing.assert_allclose(maps.sum(axis=0), 1, atol=1e-5)


def test_the_batch_size_changes_nothing(network):
    array = np.random.default_rng(1).normal(size=(3, 5, 64, 64)).astype(np.float32)
    runner = make_runner(network)
    one, all_at_once = (predict(array, runner, slices_per_batch=n) for n in (1, 5))
    np.testing.assert_allclose(one, all_at_once, atol=1e-5)


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_openvino_gives_what_torch_gives(network, precision):
    pytest.importorskip("openvino")
    if precision == "bf16" and not inference.computes_bf16():
        pytest.skip("this CPU has no bf16")
    array = np.random.default_rng(2).normal(size=(3, 2, 64, 100)).astype(np.float32)
    torch_maps, openvino_maps = (
        predict(array, runner, slices_per_batch=2)
        for runner in (make_runner(network), inference._openvino_runner(network, precision))
    )
    assert openvino_maps.std() > 0.01
    np.testing.assert_allclose(openvino_maps, torch_maps,
                               atol=1e-4 if precision == "f32" else 5e-2)


@pytest.mark.parametrize("engine", ["auto", "openvino"])
def test_without_openvino_torch_runs_and_a_warning_says_so(network, monkeypatch, caplog, engine):
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    monkeypatch.setattr(inference, "computes_bf16", lambda: True)
    caplog.set_level("WARNING", logger="operators")
    runner = make_runner(network, engine)
    assert runner.name == "torch fp32"
    assert runner(np.zeros((1, 9, 64, 64), np.float32)).shape == (1, 5, 64, 64)
    assert "running the network in torch" in caplog.text


@pytest.mark.parametrize(("bf16", "engine", "chosen"), [
    (True, "auto", "OpenVINO bf16"), (True, "openvino", "OpenVINO bf16"),
    (False, "openvino", "OpenVINO fp32"), (False, "auto", "torch fp32"),
    (True, "torch", "torch fp32"),
])
def test_bf16_runs_where_the_cpu_has_it_and_a_warning_says_where_not(
    network, monkeypatch, caplog, bf16, engine, chosen
):
    pytest.importorskip("openvino")
    monkeypatch.setattr(inference, "computes_bf16", lambda: bf16)
    caplog.set_level("WARNING", logger="operators")
    assert make_runner(network, engine).name == chosen
    assert ("no bf16" in caplog.text) is not bf16


def test_the_network_has_seven_levels_and_under_two_million_parameters(network):
    assert network.stride == 64
    assert 1.5e6 < sum(one.numel() for one in network.parameters()) < 2e6
