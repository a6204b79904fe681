"""The committed lesion model: a MONAI bundle that MONAI reads, and a card that tells the truth."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from operators.labels import LesionClass
from operators.lesion_segmenter.bundle import load_bundle
from operators.lesion_segmenter.cases import Case, save_case
from operators.lesion_segmenter.cubes import SIDE_MM
from operators.lesion_segmenter.inference import make_runner
from operators.lesion_segmenter.normalise import CHANNELS
from operators.lesion_segmenter.second_stage import classify

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "models/lesion_segmenter"


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(FOLDER)


def test_the_weights_are_under_25_megabytes_and_fit_the_network(bundle):
    for file in (FOLDER / "models").iterdir():
        assert file.stat().st_size < 25e6
    assert bundle.network().head.out_channels == 1 + len(LesionClass)
    assert bundle.second_stage().head[-1].out_features == 1 + len(LesionClass)


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


def test_the_second_stage_tells_a_ball_from_a_tube(bundle):
    """A dark paramagnetic spot of 4 mm in the middle of white matter, round or on and on."""
    cube = np.random.default_rng(0).normal(0, 0.04, (2, 6, SIDE_MM, SIDE_MM, SIDE_MM))
    points = np.stack(np.indices((SIDE_MM,) * 3)) - (SIDE_MM - 1) / 2
    spots = np.linalg.norm(points, axis=0) <= 2.2, np.hypot(points[1], points[2]) <= 1.2
    cube[:, 3:5], cube[:, 5] = 0, 1
    for number, spot in enumerate(spots):
        cube[number, 0, spot], cube[number, 1, spot], cube[number, 2, spot] = -0.7, 2.5, -0.2
        cube[number, 3:5, spot & (np.abs(points[0]) < 4)] = 1
    ball, tube = classify(bundle.second_stage(), cube.astype(np.float16))
    assert ball[LesionClass.MICROBLEED] > 0.5
    assert tube[LesionClass.MICROBLEED] < 0.2


def test_the_card_says_simulation_and_names_these_weights():
    card = (FOLDER / "docs/README.md").read_text()
    assert "Trained on simulation. Not validated on patients." in card
    weights = [(FOLDER / "models" / name).read_bytes() for name in ("model.pt", "candidates.pt")]
    assert hashlib.sha256(b"".join(weights)).hexdigest() in card
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


@pytest.mark.parametrize(("name", "said"), [("train", "InputError"), ("inference", "")])
def test_monai_runs_the_configurations_in_a_process_of_its_own(name, said, tmp_path):
    """The way docs/training.md gives; modules that this test imported would hide a wrong import."""
    (tmp_path / "cases").mkdir()
    if name == "inference":
        blank = np.zeros((4, 3, 64, 64), np.float16)
        one = np.zeros((3, 64, 64))
        save_case(Case("a", "a", blank, np.array([True] * 3 + [False]), one.astype(np.uint8),
                       one.astype(np.uint16), one == 0, (2.0, 1.0, 1.0)),
                  tmp_path / "cases/a.case.npz")
    done = subprocess.run(
        [sys.executable, "-m", "monai.bundle", "run", "--config_file",
         str(FOLDER / f"configs/{name}.json"), "--case_dir", str(tmp_path / "cases"),
         "--output_dir", str(tmp_path / "run")], cwd=ROOT, capture_output=True, text=True,
        check=False)
    assert said in done.stderr
    assert (done.returncode == 0) is (said == ""), done.stderr[-2000:]
    if name == "inference":
        maps = np.load(tmp_path / "cases/a.case.npz.probabilities.npy")
        assert maps.shape == (5, 3, 64, 64)
        assert maps.sum(axis=0) == pytest.approx(1.0, abs=1e-3)


def test_the_training_configuration_builds_the_settings_of_the_code():
    from monai.bundle import ConfigParser

    from operators.lesion_segmenter.training import TrainingSettings

    parser = ConfigParser()
    parser.read_config(str(FOLDER / "configs/train.json"))
    assert parser.get_parsed_content("settings") == TrainingSettings()
