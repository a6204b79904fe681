"""The model folder: the network, and the heads and reference group that a cohort gave it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Annotated
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from operators.errors import ConfigurationError
from operators.labels import LNC_NAMES, Side
from operators.lnc_scorer.crops import REGIONS
from operators.lnc_scorer.features import FEATURES
from operators.types import ModelIdentity, Role, Unit

if TYPE_CHECKING:
    from operators.lnc_scorer.network import LncNet

WEIGHTS = Path("models") / "model.pt"
HEADS = Path("models") / "heads.npz"
METADATA = Path("configs") / "metadata.json"
Interval = tuple[float, float, float]
"""A figure, and the bounds of its 95 % interval."""


def _region(name: str) -> str:
    if name not in LNC_NAMES:
        raise ValueError(f"{name!r} is none of {', '.join(LNC_NAMES)}")
    return name


RegionName = Annotated[str, AfterValidator(_region)]


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class QuantityHead(_Plain):
    """Tells a region's mean, both sides together, from the features of all regions.

    In `unit`; 95 % of new subjects of the same kind lie within `half_width` of what it tells.
    """

    role: Role
    region: str
    unit: Unit
    half_width: float
    r2: Interval
    subjects: int


class LabelHead(_Plain):
    """Tells a label. `right`: of the subjects called so when left out, the share that was so."""

    name: str
    classes: tuple[str, ...]
    right: tuple[float | None, ...]
    balanced_accuracy: Interval
    chance: float
    subjects: int


class ReferenceMeasure(_Plain):
    """Mean and SD of a region's mean of `role`, or of its volume in mm3 (None)."""

    region: str
    side: Side
    role: Role | None
    mean: float
    sd: float = Field(gt=0)


class Reference(_Plain):
    """Those whom others are compared with."""

    group: str
    subjects: int
    measures: tuple[ReferenceMeasure, ...]


class Metadata(_Plain):
    """What metadata.json says; `not_told`: sentences on what no head could be made for, and why.

    `regions` in the order in which their features stand in the weights of heads.
    """

    name: str
    version: str
    training_data: str
    regions: tuple[RegionName, ...] = Field(default=REGIONS, min_length=1)
    quantities: tuple[QuantityHead, ...] = ()
    labels: tuple[LabelHead, ...] = ()
    not_told: tuple[str, ...] = ()
    reference: Reference | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """Linear in the features of a subject: `weights` (output, feature) and `intercept` (output,).

    Outputs: the quantities in the metadata's order, then every class of each label.
    """

    weights: NDArray[np.float64]
    intercept: NDArray[np.float64]

    def told(self, features: NDArray) -> NDArray[np.float64]:
        """(output,) of one subject's features (feature,)."""
        return np.asarray(self.weights @ features + self.intercept)


@dataclass(frozen=True, slots=True, eq=False)
class LncBundle:
    """A model folder that was found complete."""

    folder: Path
    metadata: Metadata
    identity: ModelIdentity
    heads: Heads | None

    def network(self) -> LncNet:
        """The network with its weights, in evaluation mode."""
        return load_network(self.folder)[0]


def load_bundle(folder: Path) -> LncBundle:
    """Read a model folder. ConfigurationError names the file that is missing or wrong."""
    try:
        metadata = Metadata.model_validate_json((folder / METADATA).read_bytes())
        digest = model_digest(folder)
    except (OSError, ValidationError) as error:
        raise ConfigurationError(
            f"{folder} is no LNC model: {' '.join(str(error).split())[:300]}. Restore it, or take "
            "it from the release, or make one with lentiform lnc train."
        ) from error
    outputs = len(metadata.quantities) + sum(len(one.classes) for one in metadata.labels)
    heads = _heads(folder / HEADS, outputs, metadata) if outputs else None
    identity = ModelIdentity(metadata.name, metadata.version, digest, metadata.training_data)
    return LncBundle(folder, metadata, identity, heads)


def model_digest(folder: Path) -> str:
    """SHA-256 of all that decides what a model says: weights, heads, metadata."""
    parts = [folder / part for part in (WEIGHTS, HEADS, METADATA)]
    return hashlib.sha256(b"".join(
        hashlib.sha256(part.read_bytes()).digest() for part in parts if part.is_file()
        or part.name != HEADS.name)).hexdigest()


def _heads(path: Path, outputs: int, metadata: Metadata) -> Heads:
    try:
        with np.load(path) as stored:
            heads = Heads(stored["weights"].astype(float), stored["intercept"].astype(float))
        fits = (heads.weights.shape[0] == len(heads.intercept) == outputs
                and heads.weights.shape[1] == FEATURES * len(metadata.regions)
                and bool(np.isfinite(heads.weights).all()))
    except (OSError, KeyError, ValueError, EOFError, IndexError, BadZipFile) as error:
        raise ConfigurationError(f"{path} cannot be read ({error}). Train it anew.") from error
    if not fits:
        raise ConfigurationError(
            f"{path} holds heads {heads.weights.shape}; {METADATA} names {outputs} outputs "
            f"of {len(metadata.regions)} regions. Take both from the same training."
        )
    return heads


def load_network(folder: Path) -> tuple[LncNet, str]:
    """The network of a bundle and the SHA-256 of its weights. ConfigurationError if it is none."""
    import torch

    from operators.lnc_scorer.network import LncNet

    path = folder / WEIGHTS
    network = LncNet()
    try:
        content = path.read_bytes()
        stored = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict({name: weight.float() if weight.is_floating_point() else weight
                                 for name, weight in stored.items()})
    except (OSError, RuntimeError, AttributeError, ValueError, EOFError, KeyError,
            UnpicklingError) as error:
        raise ConfigurationError(
            f"{path} cannot be used as the LNC network ({type(error).__name__}). Give a folder "
            "with models/model.pt as of python -m apps.train.lnc."
        ) from error
    return network.eval(), hashlib.sha256(content).hexdigest()
