"""The demo: simulate a study, assess it, say what was found of what was planted."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

from operators.errors import ExitCode


def run_demo(out: Path, *, seed: int) -> tuple[str, ExitCode]:
    """Simulate into `out`, run the MAP on it; the closing tables and the run's exit code.

    A former demo in `out` is replaced.
    """
    from apps.map.run import RunPaths, run_study
    from apps.map.summary import summary
    from apps.phantom.demo import compare
    from apps.phantom.lesions import Burden
    from apps.phantom.study import simulate_study

    for part in ("study", "truth", "result"):
        shutil.rmtree(out / part, ignore_errors=True)
    print("simulating a subject ...", file=sys.stderr, flush=True)
    begun = time.monotonic()
    study = simulate_study(out, seed=seed, burden=Burden(microbleeds=8, calcifications=2))
    print(f"simulated in {time.monotonic() - begun:.1f} s: {study}", file=sys.stderr, flush=True)
    result = out / "result"
    code = run_study(RunPaths(study, result))
    comparison = compare(out / "truth", result)
    title = "Planted and found (simulated lesions)"
    return "\n\n".join([summary(result), f"{title}\n{comparison}"]), code
