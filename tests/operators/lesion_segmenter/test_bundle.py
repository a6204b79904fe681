import json

import pytest
import torch

from operators.errors import ConfigurationError
from operators.labels import LesionClass
from operators.lesion_segmenter.bundle import load_bundle
from operators.lesion_segmenter.calibration import FEATURES, Logistic
from operators.lesion_segmenter.candidate_network import CandidateNet
from operators.lesion_segmenter.network import LesionNet

NETWORK = {"_target_": "operators.lesion_segmenter.network.LesionNet", "levels": [8, 8]}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "models").mkdir()
    metadata = {
        "name": "n", "version": "1", "training_data": "simulated",
        "operating_point": {"microbleed": 0.6, "iron_deposit": 0.5, "calcification": 0.7},
    }
    (tmp_path / "configs/metadata.json").write_text(json.dumps(metadata))
    (tmp_path / "configs/inference.json").write_text(json.dumps({"network_def": NETWORK}))
    torch.save(LesionNet(levels=[8, 8]).state_dict(), tmp_path / "models/model.pt")
    return tmp_path


def test_identity_follows_weights_and_operating_points(folder):
    bundle = load_bundle(folder)
    path = folder / "configs/metadata.json"
    kept = path.read_text()
    path.write_text(kept.replace("0.6", "0.61"))
    assert load_bundle(folder).identity.sha256 != bundle.identity.sha256
    path.write_text(kept)
    assert load_bundle(folder).identity.sha256 == bundle.identity.sha256
    (folder / "models/candidates.pt").write_bytes(b"other")
    assert load_bundle(folder).identity.sha256 != bundle.identity.sha256
    (folder / "models/candidates.pt").unlink()
    assert bundle.identity.training_data == "simulated"
    assert bundle.operating_point[LesionClass.CALCIFICATION] == 0.7


def test_the_network_has_the_weights_of_the_file(folder):
    stored = torch.load(folder / "models/model.pt", weights_only=True)
    network = load_bundle(folder).network()
    assert not network.training
    assert torch.equal(network.state_dict()["head.weight"], stored["head.weight"])


@pytest.mark.parametrize("part", ["configs/metadata.json", "configs/inference.json",
                                  "models/model.pt"])
def test_a_missing_file_is_named(folder, part):
    (folder / part).unlink()
    with pytest.raises(ConfigurationError, match=f"has no {part}"):
        load_bundle(folder)


def test_metadata_without_an_operating_point_is_refused(folder):
    path = folder / "configs/metadata.json"
    path.write_text(json.dumps({"name": "n", "version": "1", "training_data": "x"}))
    with pytest.raises(ConfigurationError, match="operating_point"):
        load_bundle(folder)


def test_a_calibration_that_relies_on_a_second_stage_wants_its_weights(folder):
    path = folder / "configs/metadata.json"
    weights = (1.0, 2.0, *(0.0,) * (len(FEATURES) - 2))
    metadata = json.loads(path.read_text())
    metadata["calibration"] = {"microbleed": Logistic(0.0, weights).as_plain()}
    path.write_text(json.dumps(metadata))
    with pytest.raises(ConfigurationError, match=r"has no models/candidates\.pt, which"):
        load_bundle(folder)
    network = CandidateNet()
    torch.save(network.state_dict(), folder / "models/candidates.pt")
    definition = {"_target_": "operators.lesion_segmenter.candidate_network.CandidateNet"}
    (folder / "configs/inference.json").write_text(
        json.dumps({"network_def": NETWORK, "candidate_def": definition}))
    stored = load_bundle(folder).second_stage().state_dict()
    assert torch.equal(stored["head.1.weight"], network.head[1].weight)


def test_broken_json_is_refused(folder):
    (folder / "configs/metadata.json").write_text("{")
    with pytest.raises(ConfigurationError, match="is not JSON"):
        load_bundle(folder)


def test_weights_of_another_network_are_refused(folder):
    torch.save(LesionNet(levels=[8, 12]).state_dict(), folder / "models/model.pt")
    with pytest.raises(ConfigurationError, match="does not fit network_def"):
        load_bundle(folder).network()


def test_an_unknown_network_is_refused(folder):
    config = {"network_def": {"_target_": "operators.lesion_segmenter.network.Nothing"}}
    (folder / "configs/inference.json").write_text(json.dumps(config))
    with pytest.raises(ConfigurationError, match="cannot be built"):
        load_bundle(folder).network()
