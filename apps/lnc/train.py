"""`lentiform lnc train`: from a cohort to a bundle whose heads tell what the cohort lets them tell.

Only what cross-validation finds above chance gets a head: p by permutation below 0.05 after Holm's
correction over all quantities and labels. The heads are those of the cross-validation, fitted on
all subjects; the network's own weights stay as they are.
"""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apps.evaluate.store import write_text
from apps.lnc.command import Evaluated, Request, measured_and_evaluated
from apps.lnc.crossval import Array, fit, one_hot
from apps.lnc.measures import QUANTITIES, Measures
from apps.lnc.page import LEVEL, page
from apps.lnc.pictures import draw
from apps.lnc.scans import Cohort, read_cohort
from apps.lnc.scores import Estimate, holm
from apps.lnc.study import DEEP, Design, LabelResult, QuantityResult, Table
from operators.errors import ConfigurationError, InputError, OutputError
from operators.lnc_scorer.bundle import (
    HEADS,
    METADATA,
    WEIGHTS,
    Interval,
    LabelHead,
    Metadata,
    QuantityHead,
    Reference,
    ReferenceMeasure,
)
from operators.lnc_scorer.crops import SIDES
from operators.types import Role, Unit

_PLAIN = re.compile(r"[A-Za-z0-9 _.()-]{1,40}")
NAME = "Lentiform LNC scorer"
_UNITS = {Role.FA: Unit.RATIO, Role.CBF: Unit.ABSOLUTE_CBF}
_LEAST_REFERENCE = 10
"""A group of fewer gives no z-scores: its SD would be known to a quarter at best (our choice)."""


@dataclass(frozen=True, slots=True)
class Group:
    """Subjects whose `column` holds `value`; the whole cohort where the column is ""."""

    column: str = ""
    value: str = ""

    @staticmethod
    def of(words: str) -> Group | None:
        """Of `column=value`, `all` or `none`. ConfigurationError for anything else."""
        if words in ("none", "all"):
            return None if words == "none" else Group()
        column, _, value = (part.strip() for part in words.partition("="))
        if not column or not value:
            raise ConfigurationError(
                f"--reference {words!r} names no group. Give column=value as in participants.tsv, "
                "all, or none.")
        return Group(column, value)

    @property
    def words(self) -> str:
        return f"{self.column} = {self.value}" if self.column else "the whole cohort"


def train_cohort(request: Request, design: Design, group: Group | None) -> Path:
    """Evaluate a cohort, and write the bundle `request.out`/lnc_scorer; its card's path.

    `group`: whom z-scores refer to, None for none. InputError names what the cohort lacks,
    OutputError an `out` that holds the model it starts from.
    """
    start, bundle = request.models / "lnc_scorer", request.out / "lnc_scorer"
    if bundle.resolve() == start.resolve():
        raise OutputError(f"{request.out} holds the model it starts from. Give another folder.")
    if group is not None:
        members_of(read_cohort(request.cohort), group)
    bad = next((name for name in request.labels if not _PLAIN.fullmatch(name)), None)
    if bad is not None:
        raise InputError(f"Label {bad!r} cannot be named in DICOM. Rename the column: Latin "
                         "letters, digits, space, _ . - ( ), at most 40.")
    found = measured_and_evaluated(request, design)
    quantities, labels, untold = _chosen(found)
    reference = None if group is None else reference_group(
        found.cohort, found.measures, group, request.regions)
    simulated = " simulated" * found.cohort.simulated
    metadata = Metadata(
        name=NAME, version=version("lentiform"),
        training_data=f"heads: a cohort of {len(found.measures)}{simulated} subjects; network: "
                      "simulated subjects",
        regions=tuple(request.regions), not_told=untold, reference=reference,
        quantities=tuple(map(_quantity_head, quantities)), labels=tuple(map(_label_head, labels)))
    weights, intercept = _fitted(found.table, quantities, labels)
    partial = bundle.with_name(bundle.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / WEIGHTS).parent.mkdir(parents=True)
    shutil.copyfile(start / WEIGHTS, partial / WEIGHTS)
    with (partial / HEADS).open("wb") as file:
        np.savez_compressed(file, weights=weights.astype(np.float32), intercept=intercept)
    card = Path("docs") / "README.md"
    report = replace(found.report, command=" ".join(
        Path(word).name if "/" in word else word for word in found.report.command.split()))
    write_text(partial / card, page(report))
    draw(report.quantities, report.labels, partial / card.with_name("lnc.png"))
    write_text(partial / METADATA, metadata.model_dump_json(indent=1) + "\n")
    shutil.rmtree(bundle, ignore_errors=True)
    partial.rename(bundle)
    return bundle / card


def members_of(cohort: Cohort, group: Group) -> NDArray[np.bool_]:
    """Who belongs to it (subject,). InputError where they are too few."""
    inside = (cohort.column(group.column) == group.value if group.column
              else np.ones(len(cohort.members), bool))
    if inside.sum() < _LEAST_REFERENCE:
        raise InputError(
            f"The reference group {group.words} has {int(inside.sum())} subjects. Wanted: at least "
            f"{_LEAST_REFERENCE}. Give column=value as in participants.tsv.")
    return inside


def reference_group(
    cohort: Cohort, measures: Sequence[Measures], group: Group, regions: Sequence[str]
) -> Reference:
    """Mean and SD (n - 1) of volumes, FA and CBF, each side, in the group."""
    inside = members_of(cohort, group)
    own = [one for one, kept in zip(measures, inside, strict=True) if kept]
    out = []
    for r, region in enumerate(regions):
        for s, side in enumerate(SIDES):
            columns: list[tuple[Role | None, list[float]]] = [
                (None, [one.volumes_mm3[r, s] for one in own])]
            columns += [(role, [one.means[q, r, s] for one in own])
                        for q, role in enumerate(QUANTITIES)]
            for role, values in columns:
                known = np.array(values)[np.isfinite(values)]
                if len(known) >= _LEAST_REFERENCE and known.std() > 0:
                    out.append(ReferenceMeasure(
                        region=region, side=side, role=role, mean=float(known.mean()),
                        sd=float(known.std(ddof=1))))
    return Reference(group=group.words, subjects=len(own), measures=tuple(out))


def _chosen(
    found: Evaluated
) -> tuple[list[QuantityResult], list[LabelResult], tuple[str, ...]]:
    """What is above chance, and sentences on what is not."""
    quantities, labels = found.report.quantities, found.report.labels
    named = [(f"{one.role.value.upper()} of the {one.region}", one.p) for one in quantities]
    named += [(f"label {one.name}", one.p) for one in labels]
    adjusted = holm([p for _, p in named])
    told = [p < LEVEL for p in adjusted]
    untold = [f"{name} (p = {p:.3f})" for (name, _), p, is_told in
              zip(named, adjusted, told, strict=True) if not is_told]
    sentence = (f"No estimate of {', '.join(untold)}: not above chance in the cohort, p after "
                "Holm's correction.",) if untold else ()
    first = len(quantities)
    return ([one for one, good in zip(quantities, told[:first], strict=True) if good],
            [one for one, good in zip(labels, told[first:], strict=True) if good], sentence)


def _fitted(
    whole: Table, quantities: Sequence[QuantityResult], labels: Sequence[LabelResult]
) -> tuple[Array, Array]:
    """Weights and intercepts of all heads, in the order of `Heads`."""
    features = whole.features[DEEP]
    weights, intercepts = [np.zeros((0, features.shape[1]))], [np.zeros(0)]
    for one in quantities:
        values = whole.means[:, QUANTITIES.index(one.role), whole.regions.index(one.region)]
        _fit_known(features, values[:, None], np.isfinite(values), weights, intercepts)
    for label in labels:
        column = whole.labels[label.name]
        known = column != ""
        targets = np.zeros((len(column), len(label.sets[DEEP].names)))
        targets[known] = one_hot(column[known])[0]
        _fit_known(features, targets, known, weights, intercepts)
    return np.concatenate(weights), np.concatenate(intercepts)


def _fit_known(
    features: Array, targets: Array, known: NDArray[np.bool_], weights: list[Array],
    intercepts: list[Array],
) -> None:
    own, intercept = fit(features[known], targets[known])
    weights.append(own)
    intercepts.append(intercept)


def _quantity_head(one: QuantityResult) -> QuantityHead:
    deep = one.sets[DEEP]
    return QuantityHead(role=one.role, region=one.region, unit=_UNITS[one.role],
                        half_width=deep.within, r2=_interval(deep.r2), subjects=one.subjects)


def _label_head(one: LabelResult) -> LabelHead:
    deep = one.sets[DEEP]
    called = np.array(deep.confusion)
    right = tuple(float(called[n, n] / total) if (total := called[:, n].sum()) else None
                  for n in range(len(deep.names)))
    return LabelHead(name=one.name, classes=deep.names, right=right, subjects=one.subjects,
                     balanced_accuracy=_interval(deep.balanced_accuracy), chance=one.chance)


def _interval(one: Estimate) -> Interval:
    low, high = (bound if math.isfinite(bound) else one.value for bound in (one.low, one.high))
    return (one.value, low, high)
