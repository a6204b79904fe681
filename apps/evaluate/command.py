"""`lentiform evaluate`: scans with a truth in, a results page out."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from apps.evaluate.page import Evaluation, write_page
from apps.evaluate.run import Plan, Record, examine_scans
from apps.evaluate.store import make_folder
from apps.evaluate.tree import Tree, read_tree
from apps.map.settings import DEFAULT_CONFIG, DEFAULT_MODELS, Settings, load_settings
from operators.errors import InputError, StepFailed
from operators.lesion_segmenter.bundle import Bundle, load_bundle
from operators.types import Role


@dataclass(frozen=True, slots=True)
class Request:
    """What one evaluation is asked to do; `command` is the command line, for the page."""

    scans: Path
    out: Path
    command: str
    models: Path = DEFAULT_MODELS
    config: Path = DEFAULT_CONFIG
    from_dicom: bool = False
    candidates: bool = False
    jobs: int = 1
    without: tuple[Role, ...] = ()


def command_line(program: str = "lentiform") -> str:
    """The command line of this process, as the page shows it."""
    return f"{program} {shlex.join(sys.argv[1:])}"


def evaluate(request: Request) -> Path:
    """Examine all scans and write the page; its path.

    InputError where the tree is not as docs/training.md says, or has no DICOM that `from_dicom`
    asks for; StepFailed where no scan at all could be assessed; OutputError where `out` cannot be
    written.
    """
    settings, model, tree = prepare(request)
    if request.from_dicom and not any(scan.study for scan in tree.scans):
        raise InputError(
            f"{request.scans} has no folder sourcedata/sub-XX with a DICOM study, which "
            "--from-dicom asks for. Put the studies there, or leave the option out."
        )
    plan = Plan(model.folder, request.out / "work", settings, request.from_dicom,
                request.candidates, request.without)
    records = tuple(examine_scans(tree.scans, plan, jobs=request.jobs))
    if not any(one.listed for one in records):
        raise StepFailed(
            f"None of {len(tree.scans)} scans could be assessed; the first: {_first(records)} "
            "Correct the scans."
        )
    return write_page(
        Evaluation(records, tree.simulated, tree.anatomies, model.identity, version("lentiform"),
                   request.command, request.without), request.out)


def prepare(request: Request) -> tuple[Settings, Bundle, Tree]:
    """Settings, model and scans, with a folder to write into."""
    settings = load_settings(request.config)
    model, tree = load_bundle(request.models / "lesion_segmenter"), read_tree(request.scans)
    make_folder(request.out)
    return settings, model, tree


def _first(records: tuple[Record, ...]) -> str:
    return f"{records[0].scan}, {records[0].reason}"
