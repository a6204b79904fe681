"""`lentiform lnc`: thin doors; heavy libraries load behind them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from apps.options import Config, Models, OutFolder, Seed
from operators.labels import LNC_NAMES

lnc = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Cohorts: what deep features "
                  "of the lenticulostriate regions say of FA, CBF and labels.")
LncCohort = Annotated[
    Path, typer.Argument(help="BIDS tree with participants.tsv (docs/lnc.md).")]
LncLabels = Annotated[
    list[str] | None, typer.Option(help="Column to classify by; may be given again.")]


LncGroup = Annotated[
    str, typer.Option(help="Column whose values are never parted: site, family, anatomy.")]


class RegionName(StrEnum):
    """Those of `operators.labels.LNC_NAMES`."""

    CAUDATE, PUTAMEN, PALLIDUM, THALAMUS, CAPSULE = LNC_NAMES


LncRegions = Annotated[
    list[RegionName] | None,
    typer.Option(help="Taken instead of caudate nucleus, putamen and pallidum; may be given "
                 "again.")]


@lnc.command(name="evaluate")
def lnc_evaluate(
    cohort: LncCohort,
    out: OutFolder,
    label: LncLabels = None,
    region: LncRegions = None,
    models: Models = None,
    config: Config = None,
    group: LncGroup = "",
    split: Annotated[
        Literal["subject", "slice"],
        typer.Option(help="What is parted. slice: the leak, to see what it makes of the figures."),
    ] = "subject",
    folds: Annotated[int, typer.Option(min=2, help="Of the cross-validation.")] = 5,
    permutations: Annotated[int, typer.Option(min=99, help="For p.")] = 999,
    seed: Annotated[int, typer.Option(help="Of folds, permutations and bootstrap.")] = 1,
) -> None:
    """Cross-validate a cohort against baselines and chance: OUT/lnc.md and .json."""
    from apps.evaluate.command import command_line
    from apps.lnc.command import Request, evaluate_cohort
    from apps.lnc.study import Design
    from apps.map.settings import DEFAULT_CONFIG, DEFAULT_MODELS
    from operators.lnc_scorer.crops import REGIONS

    request = Request(cohort, out, tuple(label or ()), models or DEFAULT_MODELS,
                      config or DEFAULT_CONFIG, command_line(),
                      tuple(dict.fromkeys(map(str, region or REGIONS))))
    design = Design(folds, permutations=permutations, seed=seed, by_slice=split == "slice",
                    group=group)
    typer.echo(f"page: {evaluate_cohort(request, design)}")


@lnc.command(name="train")
def lnc_train(
    cohort: LncCohort,
    out: OutFolder,
    label: LncLabels = None,
    reference: Annotated[
        str, typer.Option(help="Whom z-scores refer to: column=value, all, or none.")
    ] = "none",
    region: LncRegions = None,
    group: LncGroup = "",
    models: Models = None,
    config: Config = None,
    folds: Annotated[int, typer.Option(min=2, help="Of the cross-validation.")] = 5,
    seed: Annotated[int, typer.Option(help="Of folds, permutations and bootstrap.")] = 1,
) -> None:
    """Make an LNC model of a cohort: OUT/lnc_scorer, with heads for what is above chance."""
    from apps.evaluate.command import command_line
    from apps.lnc.command import Request
    from apps.lnc.study import Design
    from apps.lnc.train import Group, train_cohort
    from apps.map.settings import DEFAULT_CONFIG, DEFAULT_MODELS
    from operators.lnc_scorer.crops import REGIONS

    request = Request(cohort, out, tuple(label or ()), models or DEFAULT_MODELS,
                      config or DEFAULT_CONFIG, command_line(),
                      tuple(dict.fromkeys(map(str, region or REGIONS))))
    design = Design(folds, seed=seed, group=group)
    typer.echo(f"model card: {train_cohort(request, design, Group.of(reference))}")


@lnc.command(name="simulate")
def lnc_simulate(
    out: OutFolder,
    label_maps: Annotated[Path, typer.Option(help="Folder of label maps, parted by head.")],
    subjects: Annotated[int, typer.Option(min=1, help="How many.")] = 79,
    null: Annotated[bool, typer.Option("--null", help="A cohort without a relation.")] = False,
    seed: Seed = 1,
) -> None:
    """Write a simulated cohort in which T1w tells of FA, CBF and labels, or does not."""
    from apps.lnc.simulated import write_cohort
    from apps.train.cohort import part_heads, read_anatomy

    heads = part_heads(sorted(label_maps.rglob("*.nii*")))["test"]
    write_cohort(out, [read_anatomy(head) for head in heads], subjects=subjects, seed=seed,
                 null=null)
    typer.echo(f"cohort: {out}")
