"""The model folder: a MONAI bundle, read and checked."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from operators.errors import ConfigurationError
from operators.labels import LesionClass
from operators.lesion_segmenter.calibration import Logistic
from operators.types import ModelIdentity

if TYPE_CHECKING:
    from torch import nn

METADATA = "configs/metadata.json"
INFERENCE = "configs/inference.json"
WEIGHTS = "models/model.pt"
CANDIDATES = "models/candidates.pt"
"""Weights of the second stage; optional."""
CANDIDATE_DEF = "candidate_def"
"""Key in inference.json: the second stage's network."""
CALIBRATION = "calibration"
"""Key in metadata.json: per lesion class, the regression that makes its probability; optional."""
WITHOUT_QSM = "calibration_without_qsm"
"""Key in metadata.json: the same for studies that have no QSM; optional."""
OPERATING_POINT = "operating_point"
"""Key in metadata.json: least probability per lesion class, chosen on validation subjects."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model folder that was found complete.

    `operating_point` is the least probability per lesion class, `calibration` what makes it, and
    `calibration_without_qsm` what makes it where the study has no QSM.
    """

    folder: Path
    identity: ModelIdentity
    operating_point: Mapping[LesionClass, float]
    calibration: Mapping[LesionClass, Logistic]
    calibration_without_qsm: Mapping[LesionClass, Logistic]

    def network(self) -> nn.Module:
        """The network with its weights, in evaluation mode. ConfigurationError if they disagree."""
        return self._with_weights("network_def", WEIGHTS)

    def second_stage(self) -> nn.Module | None:
        """The network that looks at candidates once more; None where the model has none."""
        if not (self.folder / CANDIDATES).is_file():
            return None
        return self._with_weights(CANDIDATE_DEF, CANDIDATES)

    def _with_weights(self, key: str, file: str) -> nn.Module:
        import torch

        network = _build(_json(self.folder / INFERENCE), key, self.folder)
        weights = torch.load(self.folder / file, map_location="cpu", weights_only=True)
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise ConfigurationError(
                f"{file} does not fit {key} of {INFERENCE} in {self.folder.name}: "
                f"{str(error).splitlines()[0]} Take both from the same release."
            ) from error
        return network.eval()


def load_bundle(folder: Path) -> Bundle:
    """Read a model folder. ConfigurationError names the file that is missing or wrong."""
    for part in (METADATA, INFERENCE, WEIGHTS):
        if not (folder / part).is_file():
            raise ConfigurationError(
                f"The model folder {folder} has no {part}. Point -m at the folder `models` of "
                "the release, or train a model."
            )
    metadata = _json(folder / METADATA)
    digest = model_digest(folder)
    try:
        identity = ModelIdentity(
            metadata["name"], metadata["version"], digest, metadata["training_data"]
        )
        points = {kind: float(metadata[OPERATING_POINT][kind.name.lower()])
                  for kind in (LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT,
                               LesionClass.CALCIFICATION)}
        calibration, without_qsm = (
            {LesionClass[name.upper()]: Logistic.from_plain(stored)
             for name, stored in metadata.get(key, {}).items()}
            for key in (CALIBRATION, WITHOUT_QSM))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{METADATA} in {folder} lacks {error}; wanted: name, version, training_data and "
            f"{OPERATING_POINT} with one probability per lesion class."
        ) from error
    judged = any(one.second for one in (*calibration.values(), *without_qsm.values()))
    if judged and not (folder / CANDIDATES).is_file():
        raise ConfigurationError(
            f"The model folder {folder} has no {CANDIDATES}, which its calibration relies on. "
            "Restore the file, or take the whole folder from the same release."
        )
    return Bundle(folder, identity, points, calibration, without_qsm)


def weights_digest(folder: Path) -> str:
    """SHA-256 of all weights of a model, one file after the other."""
    files = [folder / part for part in (WEIGHTS, CANDIDATES) if (folder / part).is_file()]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def model_digest(folder: Path) -> str:
    """SHA-256 of all that decides what a model says: weights, operating points, configuration."""
    parts = [folder / part for part in (WEIGHTS, CANDIDATES, METADATA, INFERENCE)]
    return hashlib.sha256(b"".join(
        hashlib.sha256(part.read_bytes()).digest() for part in parts if part.is_file())).hexdigest()


def _build(config: dict[str, Any], key: str, folder: Path) -> nn.Module:
    """A network of a MONAI configuration: a class path and its plain arguments.

    MONAI's own parser reads the same file; importing it takes longer than running the network.
    """
    try:
        arguments = dict(config[key])
        module, name = arguments.pop("_target_").rsplit(".", 1)
        network: nn.Module = getattr(importlib.import_module(module), name)(**arguments)
    except (KeyError, TypeError, ValueError, ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"{key} in {INFERENCE} of {folder} cannot be built: {error}. Wanted: _target_ "
            "with the path of a network class, and its arguments."
        ) from error
    return network


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{path} is not JSON: {error}. Restore the file.") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path} holds a {type(content).__name__}, wanted an object.")
    return content
