"""What parting slices instead of subjects makes of a cohort: the leak, to be seen.

Every slice is a sample with its subject's target, and the learner remembers all it saw: it says
what the most alike slice has. Where slices of one subject may be learned from and tested on, that
is a neighbour of the same subject. Parted by subjects, the same learner and slices tell what there
is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from apps.lnc.crossval import Array, nearest, one_hot, out_of_fold
from apps.lnc.scores import classification, regression
from apps.lnc.study import Design, LabelResult, QuantityResult, Table, class_counts, each_known

BY_SLICE, BY_SUBJECT = "slices, parted by slices (the leak)", "slices, parted by subjects"


def evaluate_slices(
    table: Table, design: Design
) -> tuple[list[QuantityResult], list[LabelResult]]:
    """All quantities and labels, by both ways of parting; no gains and no p.

    InputError as of `study.evaluate`.
    """
    per = table.slices.shape[1]

    def both(kept: Any, targets: Array) -> dict[str, Array]:
        samples = table.slices[kept].reshape(-1, table.slices.shape[2])
        group, slice_ = np.repeat(table.groups[kept], per), np.arange(len(samples))
        return {name: out_of_fold(
                    samples, np.repeat(targets, per, axis=0), groups, folds=design.folds,
                    repeats=design.repeats, seed=design.seed, learner=nearest)
                for name, groups in ((BY_SLICE, slice_), (BY_SUBJECT, group))}
    quantities, labels = [], []
    for role, region, every, kept in each_known(table):
        measured = every[kept]
        quantities.append(QuantityResult(
            role, region, len(measured), float(measured.mean()),
            {name: regression(np.repeat(measured, per), found[:, 0], design.seed, per)
             for name, found in both(kept, measured[:, None]).items()}, {}, np.nan))
    for name, column in table.labels.items():
        kept = column != ""
        counts = class_counts(name, column[kept], design)
        known, _ = one_hot(column[kept])
        labels.append(LabelResult(
            name, len(known), max(counts.values()) / len(known),
            {way: classification(np.repeat(column[kept], per), found, design.seed, per)
             for way, found in both(kept, known).items()}, {}, np.nan))
    return quantities, labels
