"""The bundle's weights as a network."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from operators.errors import ConfigurationError

if TYPE_CHECKING:
    from operators.lnc_scorer.network import LncNet

WEIGHTS = Path("models") / "model.pt"


def load_network(bundle: Path) -> tuple[LncNet, str]:
    """The network of a bundle and the SHA-256 of its weights. ConfigurationError if it is none."""
    import torch

    from operators.lnc_scorer.network import LncNet

    path = bundle / WEIGHTS
    network = LncNet()
    try:
        content = path.read_bytes()
        stored = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict({name: weight.float() if weight.is_floating_point() else weight
                                 for name, weight in stored.items()})
    except (OSError, RuntimeError, AttributeError, ValueError, EOFError) as error:
        raise ConfigurationError(
            f"{path} cannot be used as the LNC network ({type(error).__name__}). Give a folder "
            "with models/model.pt as of python -m apps.train.lnc."
        ) from error
    return network.eval(), hashlib.sha256(content).hexdigest()
