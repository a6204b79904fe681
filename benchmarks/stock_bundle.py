"""The project's lesion network as a bundle that the SDK's stock operator can run.

`MonaiBundleInferenceOperator` takes one three-dimensional image and a TorchScript file. So the
network is wrapped: it sees SWI in its first contrast and zeros for QSM and T2w (as it does for a
missing contrast), slice by slice with its neighbours, over the whole field of view.

    python -m benchmarks.stock_bundle OUT.ts [--models models]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from operators.lesion_segmenter.bundle import load_bundle

SLICES_PER_BATCH = 8
CONTRASTS = 3
STRIDE = 64
CONFIG = {
    "device": "$torch.device('cpu')",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [{"_target_": "EnsureChannelFirstd", "keys": "image"}],
    },
    "inferer": {"_target_": "SimpleInferer"},
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
        ],
    },
}


class WholeVolume(nn.Module):
    """SWI (1, 1, column, row, slice), as the SDK orders it, to scores (1, class, ...)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.batch, self.contrasts, self.stride = SLICES_PER_BATCH, CONTRASTS, STRIDE

    def forward(self, image: Tensor) -> Tensor:
        """Divide by the mean of the head, pad, run, crop: the shape that came in goes out."""
        swi = image[0, 0].permute(2, 1, 0).float()
        head = swi > 0.1 * swi.max()
        scaled = torch.clamp(swi / swi[head].mean(), 0.0, 3.0) - 1.0
        scaled = torch.where(head, scaled, torch.zeros_like(scaled))
        depth, rows, columns = scaled.shape
        pad = [0, (-columns) % self.stride, 0, (-rows) % self.stride]
        padded = nn.functional.pad(scaled, pad)
        last = depth - 1
        parts: list[Tensor] = []
        for first in range(0, depth, self.batch):
            centre = torch.arange(first, min(first + self.batch, depth))
            below, above = torch.clamp(centre - 1, min=0), torch.clamp(centre + 1, max=last)
            near = torch.stack([padded[below], padded[centre], padded[above]], dim=1)
            absent = torch.zeros_like(near)
            batch = torch.cat([near] + [absent] * (self.contrasts - 1), dim=1)
            batch = batch.contiguous(memory_format=torch.channels_last)
            parts.append(self.network(batch)[:, :, :rows, :columns])
        scores = torch.cat(parts)
        return scores.permute(1, 3, 2, 0)[None]


def write_stock_bundle(models: Path, target: Path) -> None:
    """Write the bundle of `models`/lesion_segmenter, wrapped, as one TorchScript file."""
    from monai.data.torchscript_utils import save_net_with_metadata

    folder = models / "lesion_segmenter"
    network = load_bundle(folder).network().to(memory_format=torch.channels_last)
    example = torch.zeros(1, 3 * CONTRASTS, STRIDE, STRIDE)
    with torch.no_grad():
        traced = torch.jit.trace(network, example, check_trace=False)
    wrapped = torch.jit.script(WholeVolume(traced))
    metadata = json.loads((folder / "configs" / "metadata.json").read_text(encoding="utf-8"))
    data_format = metadata["network_data_format"]
    data_format["inputs"]["image"] |= {"num_channels": 1, "spatial_shape": ["*", "*", "*"]}
    save_net_with_metadata(
        wrapped, str(target), meta_values=metadata,
        more_extra_files={"inference.json": json.dumps(CONFIG).encode()},
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--models", type=Path, default=Path("models"))
    options = parser.parse_args()
    write_stock_bundle(options.models, options.out)
