"""The main job per step, and beside it the SDK's stock operators on the same study and network.

    python -m benchmarks.main_job [--repeats 3] [--seed 1]

Simulates one subject (SIEMENS files, with the scanner's own SWI), then runs, in turn and each in a
process of its own: the whole main job; the main job on the SWI series alone; five stock operators
of monai-deploy-app-sdk on the whole study (they use the SWI series). Prints medians as Markdown.

What is not the same is in `DIFFERENCES`, and is printed below the table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

STOCK_STEPS = {
    "DICOMDataLoaderOperator": "DICOM loader",
    "DICOMSeriesSelectorOperator": "DICOM loader",
    "DICOMSeriesToVolumeOperator": "DICOM loader",
    "MonaiBundleInferenceOperator": "lesion segmenter",
    "DICOMSegmentationWriterOperator": "DICOM writer",
}
DIFFERENCES = (
    "The stock operators take one image: their network sees SWI, and zeros for QSM and T2w, over "
    "the whole field of view instead of the brain. They compute nothing from magnitude and phase, "
    "register, measure and report nothing, and write one SEG. The main job on the SWI series alone "
    "is the nearest like for like; it still finds the brain and writes SEG, SR, PDF and BIDS. All "
    "processes get the same number of threads."
)
SWI_DESCRIPTION = "SWI_Images"
SAMPLED_EVERY_S = 0.02
STACK = "ulimit -s 32768 2>/dev/null; exec "


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process, or one step of it, took. `peak_mib` is None for a step."""

    seconds: float
    cpu_seconds: float
    peak_mib: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One process: its whole cost, and its steps in order."""

    whole: Cost
    steps: dict[str, Cost]


def measure(command: Sequence[str], *, threads: int, log: Path) -> tuple[Cost, int]:
    """Run a command; wall and CPU seconds, peak resident memory, exit code."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    with log.open("wb") as stream:
        begun = time.monotonic()
        shell = ["bash", "-c", STACK + shlex.join(command)]
        child = subprocess.Popen(shell, stdout=stream, stderr=stream, env=environment)
        peak_kib, ended = 0, 0
        while not ended:
            time.sleep(SAMPLED_EVERY_S)
            peak_kib = max(peak_kib, _peak_kib(child.pid))
            ended, status, usage = os.wait4(child.pid, os.WNOHANG)
        seconds = time.monotonic() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    return Cost(seconds, usage.ru_utime + usage.ru_stime, peak_kib / 1024), child.returncode


def _peak_kib(pid: int) -> int:
    """High-water mark of resident memory; 0 for a process that has ended.

    Not ru_maxrss: Linux starts a child's at what its parent held.
    """
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    return int(found[1]) if found else 0


def run_main(study: Path, models: Path, work: Path, threads: int) -> Run:
    """The main job; steps from its own manifest."""
    out = _emptied(work / "main")
    command = [
        sys.executable, "-m", "apps.map", "-i", str(study), "-o", str(out), "-m", str(models)
    ]
    whole, _ = measure(command, threads=threads, log=work / "main.log")
    manifest = out / "manifest.json"
    if not manifest.is_file():
        raise SystemExit(f"the main job wrote no result:\n{_tail(work / 'main.log')}")
    steps = json.loads(manifest.read_text(encoding="utf-8"))["provenance"]["steps"]
    return Run(whole, _by_step((step["name"], step) for step in steps))


def run_stock(study: Path, bundle: Path, work: Path, threads: int) -> Run:
    """The stock operators; steps named as the main job names them."""
    out = _emptied(work / "stock")
    out.mkdir()
    command = [
        sys.executable, "-m", "benchmarks.stock_app",
        "-i", str(study), "-o", str(out), "-m", str(bundle),
    ]
    whole, code = measure(command, threads=threads, log=work / "stock.log")
    if code:
        raise SystemExit(f"the stock operators failed:\n{_tail(work / 'stock.log')}")
    steps = json.loads((out / "steps.json").read_text(encoding="utf-8"))
    return Run(whole, _by_step((STOCK_STEPS[step["name"]], step) for step in steps))


def _by_step(records: Iterable[tuple[str, Mapping[str, float]]]) -> dict[str, Cost]:
    """Sums of steps of one name."""
    steps: dict[str, Cost] = {}
    for name, record in records:
        before = steps.get(name, Cost(0.0, 0.0))
        steps[name] = Cost(
            before.seconds + record["seconds"], before.cpu_seconds + record["cpu_seconds"]
        )
    return steps


def simulate(work: Path, seed: int) -> tuple[Path, Path]:
    """The study, and its SWI series alone, each in a folder."""
    import pydicom

    from apps.phantom.anatomy import template_anatomy
    from apps.phantom.dicom import StudyOptions, VendorStyle, write_study
    from apps.phantom.lesions import Burden
    from apps.phantom.subject import simulate as simulate_subject

    whole, alone = work / "study", work / "swi"
    burden = Burden(microbleeds=8, calcifications=2)
    subject = simulate_subject(seed, anatomy=template_anatomy(), burden=burden)
    options = StudyOptions(swi=True)
    write_study(subject, whole, style=VendorStyle.SIEMENS, seed=seed, options=options)
    alone.mkdir()
    for path in whole.rglob("*"):
        if path.is_file():
            header = pydicom.dcmread(path, specific_tags=["SeriesDescription"])
            if header.SeriesDescription == SWI_DESCRIPTION:
                shutil.copy(path, alone / f"{len(list(alone.iterdir())):04d}.dcm")
    return whole, alone


def median(runs: Sequence[Run]) -> Run:
    """Medians over repeats, figure by figure."""
    def of(costs: Sequence[Cost]) -> Cost:
        peaks = [cost.peak_mib for cost in costs if cost.peak_mib is not None]
        return Cost(
            statistics.median(cost.seconds for cost in costs),
            statistics.median(cost.cpu_seconds for cost in costs),
            statistics.median(peaks) if peaks else None,
        )

    names = list(runs[0].steps)
    steps = {name: of([run.steps[name] for run in runs]) for name in names}
    return Run(of([run.whole for run in runs]), steps)


def table(main: Run, alone: Run, stock: Run) -> str:
    """Markdown: seconds / CPU-seconds per step, and the ratio of the last two columns."""
    lines = [
        "| step | main job, whole study | main job, SWI alone | stock operators | "
        "SWI alone / stock |",
        "|---|---|---|---|---|",
    ]
    for name in main.steps:
        cells = [_pair(run.steps.get(name)) for run in (main, alone, stock)]
        ratio = _ratio(alone.steps.get(name), stock.steps.get(name))
        lines.append(f"| {name} | {' | '.join(cells)} | {ratio} |")
    cells = [_pair(run.whole) for run in (main, alone, stock)]
    ratio = _ratio(alone.whole, stock.whole)
    lines.append(f"| **whole process** | {' | '.join(cells)} | {ratio} |")
    peaks = [run.whole.peak_mib or 0.0 for run in (main, alone, stock)]
    memory = " | ".join(f"{peak:.0f} MiB" for peak in peaks)
    lines.append(f"| **peak memory** | {memory} | {peaks[1] / peaks[2]:.2f} |")
    return "\n".join(lines)


def _pair(cost: Cost | None) -> str:
    return f"{cost.seconds:.1f} s / {cost.cpu_seconds:.1f}" if cost else "-"


def _ratio(ours: Cost | None, theirs: Cost | None) -> str:
    if ours is None or theirs is None:
        return "-"
    return f"{ours.seconds / theirs.seconds:.2f} / {ours.cpu_seconds / theirs.cpu_seconds:.2f}"


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])


def alternate(work: Path, options: argparse.Namespace) -> tuple[list[Run], list[Run], list[Run]]:
    """Main job, main job on the SWI series, stock operators; in turn, `options.repeats` times."""
    whole, alone = simulate(work, options.seed)
    bundle = work / "model.ts"
    make = [sys.executable, "-m", "benchmarks.stock_bundle", str(bundle)]
    subprocess.run([*make, "--models", str(options.models)], check=True, capture_output=True)
    runs: tuple[list[Run], list[Run], list[Run]] = ([], [], [])
    for turn in range(options.repeats):
        print(f"turn {turn + 1} of {options.repeats}", file=sys.stderr, flush=True)
        runs[0].append(run_main(whole, options.models, work, options.threads))
        runs[1].append(run_main(alone, options.models, work, options.threads))
        runs[2].append(run_stock(whole, bundle, work, options.threads))
    return runs


def main() -> None:
    """Simulate, alternate, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--models", type=Path, default=Path("models"))
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        runs = alternate(Path(folder), options)
    print(
        f"Simulated study, seed {options.seed}; {options.threads} threads; medians of "
        f"{options.repeats}; {platform.machine()}, Python {platform.python_version()}, "
        f"monai-deploy-app-sdk {version('monai-deploy-app-sdk')}; load {load:.1f} at the start. "
        "Seconds / CPU-seconds of the process while the step ran.\n"
    )
    print(table(*(median(each) for each in runs)))
    print(f"\n{DIFFERENCES}")


if __name__ == "__main__":
    main()
