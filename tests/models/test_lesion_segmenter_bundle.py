"""The committed lesion model: a MONAI bundle that MONAI reads, and a card that tells the truth."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from operators.labels import LesionClass
from operators.lesion_segmenter.bundle import load_bundle
from operators.lesion_segmenter.inference import make_runner
from operators.lesion_segmenter.normalise import CHANNELS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "models/lesion_segmenter"


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(FOLDER)


def test_the_weights_are_under_25_megabytes_and_fit_the_network(bundle):
    assert (FOLDER / "models/model.pt").stat().st_size < 25e6
    assert bundle.network().head.out_channels == 1 + len(LesionClass)


def test_the_metadata_describes_the_channels_that_the_code_feeds():
    image = json.loads((FOLDER / "configs/metadata.json").read_text())["network_data_format"]
    channels = image["inputs"]["image"]["channel_def"]
    assert len(channels) == 3 * len(CHANNELS)
    assert [channels[str(3 * i + 1)] for i in range(3)] == [
        f"{role.value} slice +0" for role in CHANNELS
    ]
    assert set(image["outputs"]["pred"]["channel_def"]) == {str(n) for n in range(5)}


def test_a_dark_paramagnetic_ball_is_a_microbleed_and_a_diamagnetic_one_is_not(bundle):
    runner = make_runner(bundle.network())
    batch = np.random.default_rng(0).normal(0, 0.04, (2, 9, 192, 192)).astype(np.float32)
    batch[:, :, :30], batch[:, :, -30:] = 0, 0
    ball = np.hypot(*np.ogrid[-96:96, -96:96]) <= 2.6
    batch[:, 0:3, ball], batch[:, 6:9, ball] = -0.7, -0.2
    batch[0, 3:6, ball], batch[1, 3:6, ball] = 4.0, -4.0
    bleed, calcium = runner(batch)[:, :, ball].mean(axis=2)
    assert bleed[LesionClass.MICROBLEED] > 0.5
    assert calcium[LesionClass.MICROBLEED] < 0.2


def test_the_card_says_simulation_and_names_these_weights():
    card = (FOLDER / "docs/README.md").read_text()
    assert "Trained on simulation. Not validated on patients." in card
    assert hashlib.sha256((FOLDER / "models/model.pt").read_bytes()).hexdigest() in card
    metadata = json.loads((FOLDER / "configs/metadata.json").read_text())
    assert all(name.startswith("simulated_validation_") for name in metadata["eval_metrics"])
    assert "not validated on patients" in metadata["training_data"]


def test_monai_reads_the_bundle_and_finds_input_and_output_as_described():
    from monai.bundle import verify_net_in_out

    with pytest.raises(ValueError, match="channel number"):
        verify_net_in_out(
            "network_def", meta_file=str(FOLDER / "configs/metadata.json"),
            config_file=str(FOLDER / "configs/inference.json"), device="cpu",
            **{"_meta_#network_data_format#outputs#pred#num_channels": 6},
        )
    verify_net_in_out(
        "network_def", meta_file=str(FOLDER / "configs/metadata.json"),
        config_file=str(FOLDER / "configs/inference.json"), device="cpu",
    )


def test_the_training_configuration_builds_the_settings_of_the_code():
    from monai.bundle import ConfigParser

    from operators.lesion_segmenter.training import TrainingSettings

    parser = ConfigParser()
    parser.read_config(str(FOLDER / "configs/train.json"))
    assert parser.get_parsed_content("settings") == TrainingSettings()
