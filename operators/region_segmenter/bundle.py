"""The model folder of the two region networks, read and checked."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from operators.errors import ConfigurationError
from operators.types import ModelIdentity

if TYPE_CHECKING:
    from torch import nn

HEAD = Path("models") / "head.pt"
NUCLEI = Path("models") / "nuclei.pt"
METADATA = Path("configs") / "metadata.json"


class Metadata(BaseModel):
    """What metadata.json says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    training_data: str


@dataclass(frozen=True, slots=True, eq=False)
class RegionNetworks:
    """The networks of `network.head_network` and `nuclei_network`, in evaluation mode."""

    head: nn.Module
    nuclei: nn.Module
    identity: ModelIdentity


def load_networks(folder: Path) -> RegionNetworks | None:
    """The networks of a model folder; None where there is no such folder.

    ConfigurationError names the file that is missing or wrong.
    """
    if not folder.is_dir():
        return None
    from operators.region_segmenter.network import head_network, nuclei_network

    try:
        about = Metadata.model_validate_json((folder / METADATA).read_bytes())
    except (OSError, ValidationError) as error:
        raise ConfigurationError(
            f"{folder} is no region model: {' '.join(str(error).split())[:300]}. Restore it from "
            "the release, or take the folder away: the template is used then."
        ) from error
    digest, networks = hashlib.sha256(), []
    for part, build in ((HEAD, head_network), (NUCLEI, nuclei_network)):
        network, content = _with_weights(folder / part, build())
        networks.append(network)
        digest.update(hashlib.sha256(content).digest())
    return RegionNetworks(networks[0], networks[1], ModelIdentity(
        about.name, about.version, digest.hexdigest(), about.training_data))


def _with_weights(path: Path, network: nn.Module) -> tuple[nn.Module, bytes]:
    import torch

    try:
        content = path.read_bytes()
        stored: dict[str, Any] = torch.load(
            BytesIO(content), map_location="cpu", weights_only=True)
        network.load_state_dict({name: weight.float() for name, weight in stored.items()})
        if not all(weight.isfinite().all() for weight in stored.values()):
            raise ValueError("weights that are not finite")
    except (OSError, RuntimeError, AttributeError, ValueError, EOFError, LookupError,
            UnpicklingError, struct.error) as error:
        raise ConfigurationError(
            f"{path} cannot be used as a region network ({type(error).__name__}). Restore it from "
            "the release, or make it with python -m apps.train.regions."
        ) from error
    return network.eval(), content
