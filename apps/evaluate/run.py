"""Examine every scan of a tree with a model, one way or both; resumable, in several processes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from pydantic import TypeAdapter

from apps.evaluate.examination import Examination, examine, listing_all
from apps.evaluate.from_dicom import prepared_key, seen_by_the_map
from apps.evaluate.progress import shown
from apps.evaluate.store import fingerprint, place, write_text
from apps.evaluate.tree import Scan
from apps.map.settings import REPOSITORY, Settings
from apps.train.subjects import Examined
from operators.errors import ConfigurationError, LentiformError
from operators.lesion_segmenter.settings import LesionSettings
from operators.types import NotAssessed, Role

_CODE = ("operators/lesion_segmenter", "operators/types.py", "operators/labels.py",
         "apps/evaluate/examination.py", "apps/evaluate/pairing.py",
         "apps/evaluate/conspicuity.py", "apps/evaluate/from_dicom.py",
         "apps/train/annotated.py", "apps/train/subjects.py")


class Way(StrEnum):
    """Where the model's input comes from."""

    ARRAYS = "arrays"
    DICOM = "dicom"


@dataclass(frozen=True, slots=True)
class Record:
    """One scan, seen one way: what the model lists, or why it was not assessed.

    `candidates` lists everything down to `examination.LEAST`, where that was asked for.
    """

    scan: str
    way: Way
    listed: Examination | None = None
    candidates: Examination | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """How scans are examined; `bundle` is the lesion model, `work` keeps what is done.

    The model does not get the contrasts `without`.
    """

    bundle: Path
    work: Path
    settings: Settings
    from_dicom: bool = False
    candidates: bool = False
    without: tuple[Role, ...] = ()


def examine_scans(scans: Sequence[Scan], plan: Plan, *, jobs: int = 1) -> list[Record]:
    """A record per scan and way, in the order of the scans; those on disk are taken from there."""
    results = shown(_work(scans, plan, jobs), len(scans), "scan")
    done = {records[0].scan: records for records in results}
    return [record for scan in scans for record in done[scan.name]]


def _work(scans: Sequence[Scan], plan: Plan, jobs: int) -> Iterator[list[Record]]:
    if jobs == 1:
        yield from (examine_scan(scan, plan) for scan in scans)
        return
    import multiprocessing

    threads = str(max(1, plan.settings.resources.cpu // jobs))
    os.environ.setdefault("OMP_NUM_THREADS", threads)
    os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", threads)
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(examine_scan, scan, plan) for scan in scans]
        try:
            yield from (future.result() for future in as_completed(futures))
        finally:
            pool.shutdown(cancel_futures=True)


def examine_scan(scan: Scan, plan: Plan) -> list[Record]:
    """The records of one scan, from `plan.work` where the same was done before."""
    from apps.map.run import quiet_libraries

    quiet_libraries()
    return [_kept(scan, way, plan) for way in _ways(scan, plan)]


def _ways(scan: Scan, plan: Plan) -> Iterable[Way]:
    return (Way.ARRAYS, Way.DICOM) if plan.from_dicom and scan.study else (Way.ARRAYS,)


def _kept(scan: Scan, way: Way, plan: Plan) -> Record:
    adapter = TypeAdapter(Record)
    own: tuple[str | Path, ...] = (
        repr(replace(scan, files=(), study=None)), *scan.contents(), plan.bundle,
        plan.settings.model_dump_json(), str(plan.candidates), *plan.without,
        *(REPOSITORY / part for part in _CODE),
    )
    source = (prepared_key(scan.study, plan.settings),) if way is Way.DICOM and scan.study else ()
    path = place(plan.work / scan.name, way.value, fingerprint(*own, *source), ".json")
    if path.exists():
        return adapter.validate_json(path.read_bytes())
    record = _examine(scan, way, plan)
    write_text(path, adapter.dump_json(record, indent=1).decode())
    return record


def _examine(scan: Scan, way: Way, plan: Plan) -> Record:
    truth = scan.read()
    seen: Examined | NotAssessed = truth
    if way is Way.DICOM and scan.study:
        seen = seen_by_the_map(scan.study, scan.name, plan.work / scan.name, plan.settings)
    if isinstance(seen, NotAssessed):
        return Record(scan.name, way, reason=seen.reason)
    seen = replace(seen, contrasts={role: image for role, image in seen.contrasts.items()
                                    if role not in plan.without})
    settings = plan.settings.lesion_segmenter
    listed = _once(scan, truth, seen, plan.bundle, settings)
    if isinstance(listed, NotAssessed):
        return Record(scan.name, way, reason=listed.reason)
    every = None
    if plan.candidates:
        found = _once(scan, truth, seen, plan.bundle, listing_all(settings))
        every = found if isinstance(found, Examination) else None
    return Record(scan.name, way, listed, every)


def _once(
    scan: Scan, truth: Examined, seen: Examined, bundle: Path, settings: LesionSettings
) -> Examination | NotAssessed:
    """Examine; what stops this study, and not the whole evaluation, is a reason."""
    try:
        result = examine(truth, seen, bundle, settings)
    except ConfigurationError:
        raise
    except LentiformError as error:
        return NotAssessed(f"{type(error).__name__}: {error}")
    if isinstance(result, NotAssessed) or scan.slice_mm is None:
        return result
    return replace(result, slice_mm=scan.slice_mm)
