"""The lesion model against its peers, on the same scans in the same run.

    python -m apps.evaluate.peers SCANS -o OUT --cohort WORKDIR/cohort [--nnunet PYTHON]

WORKDIR is that of `python -m apps.train.default`: nnU-Net learns from its training cases, and
parameters and operating points of the peers are chosen on its validation subjects.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from apps.evaluate.command import command_line
from apps.evaluate.examination import Examination, judge_map
from apps.evaluate.peers.comparison import Comparison, Result, page
from apps.evaluate.peers.contenders import (
    Contender,
    Nnu,
    Ours,
    RadialSymmetry,
    points_of_nnunet,
)
from apps.evaluate.peers.network_view import of_case
from apps.evaluate.peers.nnunet import NnUNet
from apps.evaluate.peers.radial_symmetry import fit
from apps.evaluate.plain import as_plain
from apps.evaluate.progress import shown
from apps.evaluate.store import fingerprint, write_text
from apps.evaluate.tree import read_tree
from apps.map.settings import DEFAULT_CONFIG, DEFAULT_MODELS, load_settings
from apps.train.subjects import Examined, load_examined
from operators.errors import InputError, told_and_left
from operators.lesion_segmenter.cases import load_case

_log = logging.getLogger("apps.evaluate")


def main(
    scans: Annotated[Path, typer.Argument(help="BIDS tree of scans with a truth.")],
    out: Annotated[Path, typer.Option("-o", help="Folder for peers.md and peers.json.")],
    cohort: Annotated[Path, typer.Option(help="Training and validation subjects of the model.")],
    models: Annotated[Path, typer.Option("-m")] = DEFAULT_MODELS,
    nnunet: Annotated[
        Path | None, typer.Option(help="A Python with nnunetv2; without it, no nnU-Net.")
    ] = None,
    minutes: Annotated[float, typer.Option(help="nnU-Net's training.")] = 60.0,
    configuration: Annotated[str, typer.Option(help="Of nnU-Net: 2d, 3d_fullres.")] = "2d",
    planned_gb: Annotated[
        float, typer.Option(help="GB that nnU-Net plans its batches for; less: more steps.")
    ] = 8.0,
    most: Annotated[int, typer.Option(help="Scans that are taken, the first by name.")] = 24,
) -> None:
    """Write the page of the comparison."""
    import torch

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    tree = read_tree(scans)
    settings = load_settings(DEFAULT_CONFIG).lesion_segmenter
    validation = [load_examined(path) for path in _files(cohort, "validation", "study")]
    contenders: list[Contender] = [
        Ours(models / "lesion_segmenter", settings), RadialSymmetry(fit(validation))]
    if nnunet is not None:
        cases = _files(cohort, "train", "case")
        kind = f"{configuration}-{fingerprint(f'{minutes:g}', f'{planned_gb:g}', *cases)}"
        network = NnUNet(out / "work" / kind, nnunet, minutes, configuration,
                         threads=torch.get_num_threads(), planned_gb=planned_gb)
        contenders.append(_nnunet(network, cases, validation))
    read = [scan.read() for scan in tree.scans[:most]]
    results = tuple(_result(one, read) for one in contenders)
    made = Comparison(results, tree.simulated, len(read),
                      torch.get_num_threads(), len(validation), version("lentiform"),
                      command_line("python -m apps.evaluate.peers"))
    write_text(out / "peers.json", json.dumps(as_plain(made), indent=1) + "\n")
    write_text(out / "peers.md", page(made))
    typer.echo(f"page: {out / 'peers.md'}")


def _files(cohort: Path, split: str, kind: str) -> list[Path]:
    found = sorted((cohort / split).glob(f"*.{kind}.npz"))
    if not found:
        raise InputError(
            f"{cohort / split} holds no *.{kind}.npz. Give the folder cohort that "
            "`python -m apps.train.default` makes in its --workdir."
        )
    return found


def _nnunet(network: NnUNet, cases: Sequence[Path], validation: Sequence[Examined]) -> Contender:
    if not network.trained:
        _log.info("nnU-Net: %d cases, %g minutes", len(cases), network.minutes)
        network.train(of_case(load_case(path)) for path in cases)
    kind = "2D" if network.configuration == "2d" else "3D"
    name = (f"nnU-Net {kind}, {network.minutes:g} min of training on {network.threads} CPU "
            f"thread(s), batches planned for {network.planned_gb:g} GB")
    return Nnu(network, points_of_nnunet(network, validation), name)


def _result(one: Contender, scans: Sequence[Examined]) -> Result:
    def work() -> Iterator[tuple[Examination, float]]:
        for scan, (found, seconds) in zip(scans, one.look(scans), strict=True):
            yield judge_map(scan, found), seconds

    _log.info("%s", one.name)
    done = list(shown(work(), len(scans), "scan"))
    return Result(one.name, tuple(each for each, _ in done),
                  float(np.median([seconds for _, seconds in done])))


if __name__ == "__main__":
    with told_and_left():
        typer.run(main)
