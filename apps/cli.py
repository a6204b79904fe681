"""The `lentiform` command: thin doors to the apps; heavy libraries load behind them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from apps.lnc.door import lnc
from apps.options import Config, Models, OutFolder, Seed
from operators.errors import EXIT_MEANINGS, ConfigurationError, told_and_left

_EXIT_CODES = "\b\nExit codes:\n" + "\n".join(
    f"  {code.value:>3}  {text}" for code, text in EXIT_MEANINGS.items()
)

app = typer.Typer(
    help="Microbleeds, iron and the lenticulostriate complex from a brain MR study. "
    "Research software, not a medical device.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

StudyFolder = Annotated[
    Path, typer.Argument(metavar="STUDY", help="Folder of DICOM, however nested and mixed.")
]
StudyUid = Annotated[
    str | None, typer.Option(help="StudyInstanceUID, when the folder holds several studies.")
]
FromDicom = Annotated[
    bool, typer.Option("--from-dicom", help="Also the way from DICOM in SCANS/sourcedata/sub-XX.")
]
Candidates = Annotated[
    bool, typer.Option("--candidates", help="FROC and calibration of every candidate.")
]


class KeptContrast(StrEnum):
    """Contrasts that the lesion model can do without."""

    QSM = "qsm"
    T2W = "t2w"


class DesignName(StrEnum):
    """Designs that `evaluate` knows."""

    DEEPMIR = "deepmir"


@app.command(epilog=_EXIT_CODES)
def run(
    study: StudyFolder,
    out: OutFolder,
    study_uid: StudyUid = None,
    config: Config = None,
    models: Models = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an earlier result in OUT.")] = False,
) -> None:
    """Assess one study: DICOM SEG, SR, PDF and maps, findings.json, BIDS derivatives."""
    from apps.map.run import RunPaths, run_study
    from apps.map.settings import DEFAULT_CONFIG, DEFAULT_MODELS
    from apps.map.summary import summary

    paths = RunPaths(study, out, models or DEFAULT_MODELS, config or DEFAULT_CONFIG)
    code = run_study(paths, study_uid=study_uid, overwrite=overwrite)
    typer.echo(summary(out))
    raise typer.Exit(code)


@app.command()
def inspect(study: StudyFolder, study_uid: StudyUid = None, config: Config = None) -> None:
    """Say which series would take which role, and why each other was rejected."""
    from apps.map.run import check_study, quiet_libraries
    from apps.map.settings import DEFAULT_CONFIG, load_settings
    from apps.map.summary import decisions_table
    from operators.dicom_loader.load import inspect_study

    settings = load_settings(config or DEFAULT_CONFIG)
    check_study(study)
    quiet_libraries()
    inspection = inspect_study(study, settings=settings.dicom_loader, study_uid=study_uid)
    typer.echo(decisions_table(inspection.decisions))
    for warning in inspection.warnings:
        typer.echo(f"note: {warning}")


@app.command()
def simulate(
    out: OutFolder,
    seed: Seed = 1,
    style: Annotated[
        str | None,
        typer.Option(help="siemens, philips, ge or enhanced.",
                     show_default="siemens; a cohort has all in turn"),
    ] = None,
    head: Annotated[
        Path | None, typer.Option(help="FreeSurfer-numbered label map to use as anatomy.")
    ] = None,
    subjects: Annotated[
        int, typer.Option(min=0, help="Simulate a cohort of so many: BIDS with labels, and DICOM.")
    ] = 0,
    split: Annotated[
        Literal["train", "validation", "test"],
        typer.Option(help="Of a cohort: whose heads and scanners."),
    ] = "test",
    label_maps: Annotated[
        Path | None, typer.Option(help="Of a cohort: folder of label maps, parted by head.")
    ] = None,
    series: Annotated[
        Literal["all", "lesions", "none"],
        typer.Option(help="Of a cohort's DICOM: all, no diffusion and perfusion, or no DICOM."),
    ] = "all",
    jobs: Annotated[int, typer.Option(min=1, help="Of a cohort: subjects at a time.")] = 1,
) -> None:
    """Write one simulated subject as a DICOM study with its truth beside it, or a cohort."""
    if subjects:
        from apps.train.simulated import Cohort, simulate_cohort

        if head is not None:
            raise ConfigurationError("--head is for one subject. For a cohort give --label-maps.")

        cohort = Cohort(subjects, seed, split, label_maps, style, series)
        simulate_cohort(out, cohort, jobs=jobs)
        typer.echo(f"cohort: {out}")
        return
    from apps.phantom.study import simulate_study

    folder = simulate_study(out, seed=seed, style=style or "siemens", head=head)
    typer.echo(f"study: {folder}")


@app.command()
def demo(out: OutFolder = Path("demo"), seed: Seed = 1) -> None:
    """Simulate a study, assess it, and compare what was found with what was planted."""
    from apps.demo import run_demo

    report, code = run_demo(out, seed=seed)
    typer.echo(report)
    raise typer.Exit(code)


@app.command()
def train(
    dataset: Annotated[
        Path, typer.Argument(help="BIDS tree of annotated scans (docs/training.md).")
    ],
    out: OutFolder,
    models: Models = None,
    scratch: Annotated[bool, typer.Option(help="Do not start from the default weights.")] = False,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps.")] = 1500,
    seed: Annotated[int, typer.Option(help="Of split, patches and weights.")] = 1,
) -> None:
    """Train the lesion model on your own annotated scans; `run -m OUT` then uses it."""
    import logging

    from apps.map.settings import DEFAULT_MODELS
    from apps.train.own import train_on

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    default = (models or DEFAULT_MODELS) / "lesion_segmenter"
    typer.echo(train_on(dataset, out, default=default, scratch=scratch, steps=steps, seed=seed))


@app.command()
def evaluate(
    scans: Annotated[
        Path, typer.Argument(help="BIDS tree of scans with a truth (docs/evaluation.md).")
    ],
    out: OutFolder,
    models: Models = None,
    config: Config = None,
    from_dicom: FromDicom = False,
    candidates: Candidates = False,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    without: Annotated[
        list[KeptContrast] | None, typer.Option(help="A contrast kept from the model.")
    ] = None,
    design: Annotated[
        DesignName | None, typer.Option(help="Cross-validate networks of your own instead.")
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Of the design.")] = 4,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps per network.")] = 1500,
    seed: Annotated[int, typer.Option(help="Of folds, patches and weights.")] = 1,
) -> None:
    """Measure the lesion model on scans with a truth: OUT/evaluation.md, .json and pictures."""
    from apps.evaluate.command import Request, command_line
    from apps.evaluate.command import evaluate as evaluate_scans
    from apps.evaluate.deepmir import Design, run_deepmir
    from apps.map.settings import DEFAULT_CONFIG, DEFAULT_MODELS
    from operators.types import Role

    request = Request(scans, out, command_line(), models or DEFAULT_MODELS,
                      config or DEFAULT_CONFIG, from_dicom, candidates, jobs,
                      tuple(Role(one.value) for one in without or ()))
    if design is DesignName.DEEPMIR:
        if from_dicom or candidates or jobs > 1 or without:
            raise ConfigurationError(
                "--design trains networks of its own on the arrays of the tree: leave out "
                "--from-dicom, --candidates, --jobs and --without.")
        page = run_deepmir(request, Design.of(folds=folds, steps=steps, seed=seed))
    else:
        page = evaluate_scans(request)
    typer.echo(f"page: {page}")


app.add_typer(lnc, name="lnc")


def main() -> None:
    """Run the command."""
    with told_and_left():
        app()


if __name__ == "__main__":
    main()
