"""`lentiform lnc evaluate`: from a cohort's folder to its results page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from apps.evaluate.plain import as_plain
from apps.evaluate.store import make_folder, write_text
from apps.lnc.leak import evaluate_slices
from apps.lnc.measures import Measures, measure_all
from apps.lnc.page import Report, page
from apps.lnc.pictures import draw
from apps.lnc.scans import Cohort, read_cohort
from apps.lnc.study import Design, Table, check, evaluate, tabulate
from apps.map.settings import load_settings
from operators.lnc_scorer.bundle import load_network
from operators.lnc_scorer.crops import REGIONS


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for: the cohort, where results go, and by which model and settings."""

    cohort: Path
    out: Path
    labels: Sequence[str]
    models: Path
    config: Path
    command: str
    regions: Sequence[str] = REGIONS


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """A cohort, what was measured of it, and what that says."""

    cohort: Cohort
    measures: Sequence[Measures]
    table: Table
    report: Report


def measured_and_evaluated(request: Request, design: Design) -> Evaluated:
    """Measure and evaluate a cohort.

    Resumable: measures are kept in `request.out`/work. InputError names what the cohort lacks.
    """
    cohort = read_cohort(request.cohort)
    check(cohort, request.labels, design)
    make_folder(request.out)
    network, weights = load_network(request.models / "lnc_scorer")
    measures = measure_all(cohort, network, weights, request.out / "work",
                           load_settings(request.config), request.regions)
    table = tabulate(cohort, measures, request.labels, request.regions, design.group)
    judge = evaluate_slices if design.by_slice else evaluate
    report = Report(len(measures), cohort.simulated, weights, request.command, design,
                    *judge(table, design))
    return Evaluated(cohort, measures, table, report)


def evaluate_cohort(request: Request, design: Design) -> Path:
    """Evaluate a cohort; the page's path.

    Writes lnc.md, lnc.json and lnc.png into `request.out`; slices: lnc-slices.md and .json.
    """
    report = measured_and_evaluated(request, design).report
    name = "lnc-slices" if design.by_slice else "lnc"
    write_text(request.out / f"{name}.json", json.dumps(as_plain(report), indent=1) + "\n")
    if not design.by_slice:
        draw(report.quantities, report.labels, request.out / "lnc.png")
    path = request.out / f"{name}.md"
    write_text(path, page(report))
    return path
